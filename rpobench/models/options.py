"""Options behind a model's name in its spec, such as `hf:MODEL?dtype=bfloat16&system=Be+brief`."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import parse_qsl

from rpobench.types import RpobenchError


def read_options(query: str, known_names: Collection[str], *, spec: str) -> dict[str, str]:
    """The options of a model spec by name.

    Args:
        query: What stands behind the model's name, as in a web address: `dtype=bfloat16&system=Be+brief`.
        known_names: The options that this kind of model has.
        spec: What the user wrote, for errors.

    Returns:
        The value of each option that is set; of an option that is set twice the last one.

    Raises:
        RpobenchError: An option is unknown or has no value.
    """
    options = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known_names:
            raise RpobenchError(f"{spec}: unknown option '{name}'; known: {', '.join(sorted(known_names))}")
        if not value:
            raise RpobenchError(f"{spec}: option '{name}' has no value; write {name}=VALUE or leave it out")

        options[name] = value

    return options
