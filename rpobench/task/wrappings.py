"""What models put around an answer, whatever its kind: fences, boxes, JSON, tags, emphasis, quotes."""

from __future__ import annotations

import json
import re

FENCE = re.compile(r"\s*(?:```|~~~)[\w+-]*\s*")
BOX = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
TEX_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mathbf)\s*\{([^{}]*)\}")
JSON_OBJECT = re.compile(r"\{[^{}]*\}")
TAGS = re.compile(r"<(?P<name>[a-z][\w-]*)>\s*(.*?)\s*</(?P=name)>", re.IGNORECASE)
# Emphasis stands around words: in "s**t" nothing is emphasized.
EMPHASIS = re.compile(r"(?<![\w*_`])(\*{1,3}|_{1,3}|`{1,3})(?=\S)([^*_`]+?)(?<=\S)\1(?![\w*_`])")

QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "`": "`", "«": "»", "„": "“", "「": "」", "『": "』"}
# The fields in which an answer stands where a model writes an object.
ANSWER_FIELDS = ("answer", "output", "result", "prediction", "response")


def find_boxed(text: str) -> str | None:
    r"""Return what stands in the last `\boxed{...}` of a text; None without one."""
    boxes = BOX.findall(text)
    return TEX_TEXT.sub(r"\1", boxes[-1]).strip() if boxes else None


def drop_fences(text: str) -> str:
    """Take out lines that open or close a block of code, and nothing of what stands in it."""
    lines = [line for line in text.splitlines() if not FENCE.fullmatch(line)]
    return "\n".join(lines)


def find_field(text: str, names: tuple[str, ...]) -> str | None:
    """Find the answer in the last JSON object of a text.

    Args:
        text: Any text.
        names: The fields that hold an answer of the task, in lower case.

    Returns:
        The text or number in the first of these fields or of `ANSWER_FIELDS`, else in the only field. None where the
        text holds no object with such a field.
    """
    for found_text in reversed(JSON_OBJECT.findall(text)):
        try:
            content = json.loads(found_text)
        except ValueError:
            continue

        fields = {str(name).lower(): value for name, value in content.items()}
        candidates = [fields[name] for name in (*names, *ANSWER_FIELDS) if name in fields]
        if not candidates and len(fields) == 1:
            candidates = list(fields.values())
        if candidates and isinstance(candidates[0], str | int | float) and not isinstance(candidates[0], bool):
            return str(candidates[0]).strip()
    return None


def drop_emphasis(text: str) -> str:
    """Take asterisks, underscores and backticks away from around words."""
    return EMPHASIS.sub(r"\2", text)


def drop_quotes(text: str) -> str:
    """Take the quotes away that stand around the whole text, also before its final stop."""
    inner = text[:-1] if text[-1:] in (".", ",") and text[-2:-1] == QUOTES.get(text[:1]) else text

    if len(inner) > 1 and QUOTES.get(inner[0]) == inner[-1]:
        return inner[1:-1].strip()
    return text


def drop_tags(text: str) -> str:
    """Take the pair of tags away that stands around the whole text, as in `<title>Rain</title>`."""
    match = TAGS.fullmatch(text)
    return match[2] if match else text
