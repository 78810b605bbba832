"""The one rule for numbers in official files: 5, 5.0, "5" and "5.0" are the same id, and the same rating."""

from __future__ import annotations

import math
import re
from typing import Any

WHOLE = re.compile(r"([+-]?\d+)\.0+")  # some program read a column of numbers, one of them missing, and wrote it back


def number_text(value: Any) -> str | None:
    """Return a JSON number as text, a whole one without decimals; None for anything else, also NaN and infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return str(int(value)) if value == int(value) else repr(value)


def whole_number_text(text: str) -> str:
    """Return a text that is a whole number with decimals without them, and every other text as it is."""
    match = WHOLE.fullmatch(text.strip())
    return match[1] if match else text
