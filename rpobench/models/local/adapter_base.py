"""Which base model a LoRA adapter was made for: told by the name and by the shapes in its files, before any loading."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from rpobench.models.local.checkpoints import ADAPTER_CONFIG, ADAPTER_WEIGHTS, WEIGHTS, weights_sha256
from rpobench.types import RpobenchError

HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w.-]+")
LORA_WEIGHT = re.compile(r"(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])\.(?:\w+\.)?weight")

Shape = Sequence[int]


def require_same_base(adapter: Path, checkpoint: Path, name: str, aliases: Sequence[str] = ()) -> None:
    """Refuse an adapter that was made for another base model.

    A name on the hub must be the model's, whoever published it. A folder tells nothing by its name, but where it is
    still there, what is in it must be the same. Whatever the names, the matrices must be of the same shape.

    Args:
        adapter: The folder of the adapter.
        checkpoint: The folder of the model it is put on.
        name: The name of that model.
        aliases: Its other names.

    Raises:
        RpobenchError: The adapter is of another model.
    """
    base = _read_base_name(adapter)
    folder = Path(base).expanduser()

    if base and folder.is_dir():
        is_same = folder.resolve() == checkpoint.resolve() or _holds_same_model(folder, checkpoint)
    elif base and HUB_NAME.fullmatch(base):
        names = {name, checkpoint.resolve().name, _read_config_name(checkpoint), *aliases}
        is_same = base.rsplit("/", 1)[1].lower() in {known.rsplit("/", 1)[-1].lower() for known in names}
    else:
        is_same = True

    advice = f"take an adapter of {name}, or the base model that it was made for"
    if not is_same:
        raise RpobenchError(f"{adapter}: the adapter was made for {base}, not for {name}; {advice}")

    difference = _find_difference(adapter, checkpoint)
    if difference:
        made_for = base or "a model without a name"
        raise RpobenchError(f"{adapter}: the adapter was made for {made_for}, not for {name}: {difference}; {advice}")


def _read_base_name(adapter: Path) -> str:
    """What the adapter calls its base model; empty where it says nothing."""
    return _read_text(adapter / ADAPTER_CONFIG, "base_model_name_or_path")


def _read_config_name(checkpoint: Path) -> str:
    """What the model's own settings call it; empty where they say nothing."""
    return _read_text(checkpoint / "config.json", "_name_or_path")


def _read_text(file: Path, key: str) -> str:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""  # said when it is loaded

    value = content.get(key) if isinstance(content, dict) else None
    return value if isinstance(value, str) else ""


def _holds_same_model(folder: Path, checkpoint: Path) -> bool:
    """Whether two folders hold the same weights; True where the first holds no weights any more."""
    return not any(folder.glob(WEIGHTS)) or weights_sha256(folder) == weights_sha256(checkpoint)


def _find_difference(adapter: Path, checkpoint: Path) -> str | None:
    """The first matrix whose shape tells that the adapter is of another model, in words."""
    lora_shapes = dict(_read_shapes(adapter / ADAPTER_WEIGHTS))
    model_shapes: dict[str, Shape] = {}
    for file in sorted(checkpoint.glob(WEIGHTS)):
        model_shapes.update(_read_shapes(file))

    for module, sizes in sorted(_adapted_sizes(lora_shapes).items()):
        shape = model_shapes.get(f"{module}.weight")
        if shape and len(shape) == 2 and sorted(sizes) != sorted(shape):  # sorted: some models store them transposed
            return f"its {module} is {' x '.join(map(str, sizes))}, the model's is {' x '.join(map(str, shape))}"
    return None


def _adapted_sizes(lora_shapes: Mapping[str, Shape]) -> dict[str, tuple[int, int]]:
    """Rows and columns of each matrix that the adapter changes, by the module's name."""
    rows: dict[str, int] = {}
    columns: dict[str, int] = {}
    for weight_name, shape in lora_shapes.items():
        match = LORA_WEIGHT.fullmatch(weight_name)
        if not match or len(shape) != 2:
            continue
        if match["side"] == "A":
            columns[match["module"]] = shape[1]
        else:
            rows[match["module"]] = shape[0]

    return {module: (rows[module], columns[module]) for module in rows.keys() & columns.keys()}


def _read_shapes(file: Path) -> Iterator[tuple[str, Shape]]:
    """Name and shape of every tensor in a file, read from its header."""
    try:
        with safe_open(file, framework="numpy") as tensors:
            for tensor_name in tensors.keys():  # noqa: SIM118  # no dict
                yield tensor_name, tensors.get_slice(tensor_name).get_shape()
    except (OSError, SafetensorError):
        return  # a damaged file is refused, with the reason, when it is loaded
