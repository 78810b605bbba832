"""Reads a rating from 1 to 5 from what a model wrote, where the text says one rating and no other."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from rpobench.task.wrappings import drop_fences, find_boxed, find_field

WORDS = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5"}
RATING_FIELDS = ("score", "rating", "stars", "star_rating", "product_rating", "value")
FRACTIONS = {"½": ".5", "¼": ".25", "¾": ".75"}

NUMBER = r"(?:[1-5]|one|two|three|four|five)"
DECIMALS = r"(?:\.0+)?"
DASH = "[-‐‑–—]"

# Where a text speaks of the scale and not of the rating: "1 to 5", "1, 2, 3, 4, or 5", "out of 5", "5-point scale".
SCALE = re.compile(
    rf"""\b(?:1|one)\b[^\d\n.]{{0,30}}?(?:\bto\b|{DASH}|\bthrough\b|\band\b)\s*(?:a\s+)?(?:5|five)\b(?!\.\d)
    | \b1\s*,\s*2\s*,\s*3\s*,\s*4\s*,?\s*(?:or|and)?\s*5\b(?!\.\d)
    | \b(?:5|five)(?:\s|{DASH})*(?:points?|stars?|levels?)\s+(?:rating\s+)?(?:scale|system)
    | (?:/|\bout\s+of|\bof)\s*(?:a\s+(?:possible\s+|maximum\s+)?)?(?:5(?:\.0+)?|five)\b
      (?!\.\d|\s*{DASH}?\s*star\s+rating)""",
    re.IGNORECASE | re.VERBOSE,
)
# Two ratings at once, "3 or 4", "between 3 and 4": no rating.
RANGE = re.compile(
    rf"""\b{NUMBER}{DECIMALS}\s*(?:stars?\s*)?
    (?:{DASH}|to|or|and|/|~|,?\s*(?:maybe|perhaps|possibly))\s*(?:(?:a|maybe|perhaps|possibly|even)\s+){{0,3}}
    {NUMBER}\b(?!\.\d)""",
    re.IGNORECASE | re.VERBOSE,
)
# A rating that is denied, or only a bound: "not a 5", "rather than 5", "at least 4".
DENIED = re.compile(
    rf"""(?:\b(?:can)?not|n['’]t|\bnever|\brather\s+than|\binstead\s+of|\bless\s+than|\bmore\s+than|\bfewer\s+than|\bat\s+least
    |\bat\s+most|\bunder|\bover|\babove|\bbelow|\balmost|\bnearly|\bbut\s+no)
    \s+(?:(?:a|an|the|quite|really|full|worth|deserve|give|giving|it|be|have|any|to)\s+){{0,4}}
    {NUMBER}(?:\s*{DASH}?\s*stars?)?\b(?!\.\d)""",
    re.IGNORECASE | re.VERBOSE,
)
# A whole number from 1 to 5 that stands alone, as "4" or "4.0": no part of another number, fraction, ordinal or price.
COUNTED = (
    r"minutes?|hours?|days?|weeks?|months?|years?|times|people|dollars|inches|kids|children|pounds?"
    r"|of\s+(?:them|these|those)"
)
BEFORE = rf"(?<![\w.,:/⁄$€£#+−])(?<!\d\s)(?<!{DASH})"
ALONE = rf"""{BEFORE}([1-5]){DECIMALS}
    (?!\d|\.\d|,\d|:\d|\s*(?:/|⁄|%|out\s+of\b)|\s+1\s*[/⁄]\s*2|\s*(?:{DASH}|\s)and(?:{DASH}|\s)a(?:{DASH}|\s)half
      |(?:{DASH}|\s)(?:{COUNTED})\b)
    (?:(?=\s*{DASH}?\s*stars?\b)|(?![^\W_]))"""
OUT_OF_FIVE = re.compile(
    rf"{BEFORE}({NUMBER}){DECIMALS}\s*(?:stars?\s*)?\(?(?:/|out\s+of)\s*(?:5|five)\b(?!\.0*[1-9])", re.IGNORECASE
)
DIGIT = re.compile(ALONE, re.IGNORECASE | re.VERBOSE)
WORD = re.compile(rf"\b(two|three|four|five)\b(?!\s+and\s+a\s+half|{DASH}and{DASH}a)", re.IGNORECASE)
WORD_OF_STARS = re.compile(rf"\b(one|two|three|four|five)(?:\s|{DASH})+stars?\b", re.IGNORECASE)

# Where a text says that what follows is its rating.
STATED = re.compile(
    rf"""(?:\b(?:(?:score|rating|answer)\b|stars?\s*[:=])[^\w\n]{{0,6}}(?:(?:is|of|would\s+be|should\s+be|will\s+be)\b)?
    |\b(?:rate|rated|give|giving|score|scored|say|go\s+with|settle\s+on|choose|pick)\s+(?:(?:it|this|the|that)\s+)?(?:\w+\s+)?(?:(?:as|at|with)\s+)?
    |\bdeserves?\s+)
    [^\w\n]{{0,6}}(?:(?:likely|probably|clearly|only|just|exactly|a|an|the|solid|full)\s+){{0,3}}[^\w\n]{{0,4}}
    (?P<number>{NUMBER}){DECIMALS}(?!\d|\.\d|,\d|:\d|\s*[/⁄%]|\s+out\s+of)\b""",
    re.IGNORECASE | re.VERBOSE,
)
LEADING = re.compile(
    rf"[\s(\['#]*(?P<number>{NUMBER}){DECIMALS}\s*{DASH}?\s*(?:stars?)?\s*(?:[.,;:](?!\d)|[!)\n(\]]|{DASH}\s|$)",
    re.IGNORECASE,
)
STARS = re.compile("[★⭐🌟✭✮]+(?![★⭐🌟✭✮]|\\.\\d)")


def read_rating(text: str) -> str:
    """Read the one rating that a text gives.

    Args:
        text: What a model wrote, without its thinking.

    Returns:
        A number from 1 to 5, without decimals; empty where the text gives none, or more than one.
    """
    for framed in (find_boxed(text), find_field(text, RATING_FIELDS)):
        if framed is not None:
            return _read_sentence(framed)
    return _read_sentence(drop_fences(text))


def _read_sentence(text: str) -> str:
    """The rating of a text without frames; what it states counts more than what it merely names."""
    text = _plain(text)
    star_runs = {str(len(run)) for run in STARS.findall(text)}

    text = DENIED.sub(" ", text)
    stated = _numbers(OUT_OF_FIVE.findall(RANGE.sub(_keep_share, text)))
    text = SCALE.sub(" ", text)
    stated |= _numbers(match["number"] for match in STATED.finditer(RANGE.sub(" ", text)))
    if stated:
        return stated.pop() if len(stated) == 1 else ""

    leading = LEADING.match(text)
    if leading and not (star_runs or RANGE.match(text, leading.start("number"))):
        others = {line.strip(" .") for line in text.splitlines()[1:]} & set(WORDS.values())
        return "" if others - {leading["number"]} else _number(leading["number"])

    if RANGE.search(text):
        return ""
    found = _find_numbers(text)
    if found and star_runs == {"1"}:
        star_runs = set()  # one star is an ornament beside a number
    found |= star_runs
    return found.pop() if len(found) == 1 and found <= set(WORDS.values()) else ""


def _keep_share(match: re.Match[str]) -> str:
    """Of two numbers only those that say "4/5"."""
    return match[0] if "/" in match[0] else " "


def _find_numbers(text: str) -> set[str]:
    """The ratings that a text names: digits, else words."""
    digits = _numbers(match[1] for match in DIGIT.finditer(text))
    words = WORD_OF_STARS.findall(text) or WORD.findall(text)
    if text.strip(" \n.!").lower() == "one":
        words = ["one"]
    return digits or _numbers(words)


def _plain(text: str) -> str:
    """The text in plain letters and digits, without emphasis: fullwidth and circled digits are digits."""
    for sign, decimals in FRACTIONS.items():
        text = text.replace(sign, decimals)
    text = unicodedata.normalize("NFKC", text.replace("\ufe0f", ""))
    return re.sub(r"[*_`\"“”]+|\\text|[{}]", " ", text).strip()


def _numbers(numbers: Iterable[str]) -> set[str]:
    return {_number(number) for number in numbers}


def _number(number: str) -> str:
    return WORDS.get(number.lower(), number)
