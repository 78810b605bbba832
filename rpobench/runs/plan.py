"""What `rpobench run` is asked to do: its options, checked, and the names of tasks and methods they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from rpobench.method.contract import Method
from rpobench.registry import advice, get_method, names
from rpobench.types import RpobenchError

ALL_TASKS = tuple(f"LaMP-{number}" for number in range(1, 8))
GROUPS = ("all", "trained", "untrained")  # of methods, as `--method` takes them
LARGEST_SEED = 2**32 - 1  # numpy takes no larger one
OPTIONS = {"seeds": "seed"}  # fields of a plan that the command line spells otherwise

Place = Annotated[str, BeforeValidator(lambda given: str(given) if isinstance(given, Path) else given)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Plan:
    """The options of `rpobench run`; see the CLI for their meaning. Made by `make_plan`, which says what is wrong."""

    method: str
    task: str
    data: Place = "synth"
    split: str = "dev"
    base_model: str = "smollm2-135m"
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: str = "quick"
    limit: Annotated[int, Field(ge=1)] | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = (0,)
    holdout: Annotated[float, Field(ge=0, le=1)] | None = None
    profiles: Literal["own", "swapped"] = "own"
    swap: bool = True
    adapter: Place | None = None  # a run whose trained module is applied instead of training one
    out: Path = Path("runs")
    texts: bool = True
    base_url: str | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    price: str | None = None
    max_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    def model_options(self) -> dict[str, Any]:
        """What the base model's factory is given beside its spec."""
        given = {"base_url": self.base_url, "concurrency": self.concurrency}
        return {name: value for name, value in given.items() if value is not None}


def make_plan(**options: Any) -> Plan:
    """The plan with these options. Raises RpobenchError that names the first wrong one."""
    try:
        return Plan(**options)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if first["type"] == "unexpected_keyword_argument":
            known = Plan.__dataclass_fields__
            raise RpobenchError(f"run has no option '{name}': {advice(name, known)}") from error
        option = OPTIONS.get(name, name).replace("_", "-")
        raise RpobenchError(f"--{option} {first['input']}: {first['msg']}") from error


def task_names(asked: str) -> dict[str, bool]:
    """The tasks asked for, in order, and whether each was named: what only `all` brought may lack data."""
    parts = [part.strip() for part in asked.split(",")]
    wanted = [name for part in parts for name in (ALL_TASKS if part == "all" else (part,))]
    return {name: name in parts for name in wanted}


def method_names(asked: str) -> list[str]:
    """The methods asked for, in order; `all`, `trained` and `untrained` may stand among names."""
    wanted: list[str] = []
    for part in (part.strip() for part in asked.split(",")):
        if part in GROUPS:
            wanted += [name for name in names("methods") if part in _groups(get_method(name))]
        else:
            wanted.append(part)
    return list(dict.fromkeys(wanted))


def _groups(method: type[Method]) -> tuple[str, ...]:
    if method.by_name_only:
        return ()
    return ("all", "trained" if method.trains and not method.only_counts else "untrained")


def configured(plan: Plan) -> list[Method]:
    """Each method, not yet fitted, with its config: defaults, then the preset's values, then `--set`."""
    get_preset(plan.preset)
    classes = [get_method(name) for name in method_names(plan.method)]
    known = {key for one in classes for key in one.Config.model_fields}
    for key in plan.settings:
        if key not in known:
            raise RpobenchError(f"--set {key}: no such option of {plan.method}: {advice(key, sorted(known))}")
    return [one(_config(one, plan)) for one in classes]


def _config(method: type[Method], plan: Plan) -> BaseModel:
    own = {key: value for key, value in plan.settings.items() if key in method.Config.model_fields}
    return checked(method, {**method.presets.get(plan.preset, {}), **own})


def checked(method: type[Method], values: Mapping[str, Any]) -> BaseModel:
    """The method's config with these values. Raises RpobenchError that names the first wrong one."""
    try:
        return method.Config(**values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise RpobenchError(f"--set {place}={first['input']}: {first['msg']}") from error


@dataclass(frozen=True, slots=True)
class Preset:
    """Examples scored, and training examples a task."""

    scored: int
    trained: int


PRESETS = {"quick": Preset(scored=32, trained=40), "full": Preset(scored=200, trained=128)}


def get_preset(name: str) -> Preset:
    """The preset of this name."""
    if name not in PRESETS:
        raise RpobenchError(f"unknown preset '{name}': {advice(name, PRESETS)}")
    return PRESETS[name]
