"""Runs that leave or enter a folder: checked, packed, imported, exported."""
