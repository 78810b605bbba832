"""What Python raises for a zip that cannot be read, so that every reader of zips names the same faults."""

from __future__ import annotations

from zipfile import BadZipFile
from zlib import error as CorruptData

# zipfile says RuntimeError for an encrypted member, and a kind of it for an unknown compression.
UNREADABLE_ZIP = (OSError, BadZipFile, CorruptData, RuntimeError, EOFError)
