"""What Python raises for packed files that cannot be read, and how much one may hold: the same for every reader."""

from __future__ import annotations

from zipfile import BadZipFile
from zlib import error as CorruptData

# zipfile says RuntimeError for an encrypted member, and a kind of it for an unknown compression.
UNREADABLE_ZIP = (OSError, BadZipFile, CorruptData, RuntimeError, EOFError)
UNPACKED = 256 * 2**20  # bytes that a packed file may hold; what LaMP and this project pack holds a few millions
