"""What a user may set behind the name of a local model."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from rpobench.models.options import read_options
from rpobench.types import RpobenchError

DTYPES = ("auto", "float32", "bfloat16", "float16")
CHOOSE_VARIANTS = ("calibrated", "raw")


class LocalOptions(TypedDict, total=False):
    """Keyword arguments of a `TransformersModel`, which says what each means."""

    dtype: str
    device: str
    adapter: Path
    system: str
    choose: str
    think_tokens: int


def parse_local_options(query: str, spec: str, *, think_tokens: int | None = None) -> LocalOptions:
    """Options of a local model as keyword arguments.

    Args:
        query: What stands behind the model's name, such as `dtype=bfloat16&device=cpu`.
        spec: What the user wrote, for errors.
        think_tokens: The option of that name, where the query does not have it.

    Returns:
        The options that are set.

    Raises:
        RpobenchError: An option is unknown, has no value, or a value that it cannot have.
    """
    values = read_options(query, LocalOptions.__annotations__, spec=spec)
    require_choice("dtype", values.get("dtype", "auto"), DTYPES, spec=spec)
    require_choice("choose", values.get("choose", "calibrated"), CHOOSE_VARIANTS, spec=spec)

    options = LocalOptions() if think_tokens is None else LocalOptions(think_tokens=think_tokens)
    for name, value in values.items():
        if name == "adapter":
            options["adapter"] = Path(value).expanduser()
        elif name == "think_tokens":
            options["think_tokens"] = parse_count(name, value, spec=spec)
        else:
            options[name] = value  # type: ignore[literal-required]
    return options


def require_choice(option: str, value: str, choices: tuple[str, ...], *, spec: str) -> None:
    """Refuse a value that an option cannot have.

    Raises:
        RpobenchError: The value is none of the choices, which the error lists.
    """
    if value not in choices:
        raise RpobenchError(f"{spec}: unknown {option} '{value}'; known: {', '.join(choices)}")


def parse_count(option: str, value: str, *, spec: str) -> int:
    """A number of things.

    Raises:
        RpobenchError: The value is no whole number of at least 0.
    """
    if not (value.isascii() and value.isdigit()):
        raise RpobenchError(f"{spec}: {option}={value} is no number of tokens; give a whole number such as 512")

    return int(value)
