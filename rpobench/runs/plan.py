"""The plan of `rpobench run`: its options, checked, and which tasks and configured methods they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

from rpobench.data.sources import Source
from rpobench.method.contract import Method, choose_preset_values
from rpobench.method.left_out import MOST_LEFT_OUT
from rpobench.method.presets import PRESETS, Preset
from rpobench.registry import get_method, load_working_methods, suggest_names
from rpobench.runs.refusals import MOST_REFUSED, RefusalLimits
from rpobench.types import RpobenchError

ALL_TASKS = tuple(f"LaMP-{number}" for number in range(1, 8))
GROUPS = ("all", "trained", "untrained")  # of methods, as `--method` takes them
LARGEST_SEED = 2**32 - 1  # numpy takes no larger one
LONGEST_LABEL = 60  # characters
OPTION_BY_FIELD = {"seeds": "seed"}  # of the fields of a plan that the command line spells otherwise


def _path_as_text(option: object) -> object:
    return str(option) if isinstance(option, Path) else option


def check_label(label: str) -> str:
    """Refuse a label that could not stand in a table, or be named on the command line.

    Args:
        label: What `--label` gives.

    Returns:
        The label, without white space around it.

    Raises:
        RpobenchError: It is too long, or holds a comma or what cannot be printed.
    """
    label = label.strip()
    if len(label) > LONGEST_LABEL or "," in label or not label.isprintable() or label.startswith("-"):
        raise RpobenchError(
            f"--label {label!r}: give up to {LONGEST_LABEL} printable characters without a comma, and no dash in front"
        )
    return label


Location = Annotated[str, BeforeValidator(_path_as_text)]
Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Plan:
    """The options of `rpobench run`. `make_plan` makes a plan, and says in one line what is wrong with an option.

    Attributes:
        method: Names of methods and groups of methods, comma-separated.
        task: Names of tasks, comma-separated; `all` stands for LaMP-1 to LaMP-7.
        data: A synthetic world or the path of an official folder, as `rpobench.data.sources.Source` takes it.
        split: The split that is scored: "train", "dev" or "test".
        base_model: The spec of the model that is personalized, such as `openai:MODEL`.
        settings: Knobs of the methods with their values (`--set`); a value may be text still to be parsed.
        preset: What decides where no option does, see `rpobench.method.presets`; None for "quick" on a world and "full"
            on a folder.
        limit: Most examples to score, and to train on, a task; None for the preset's numbers on a world, and for all
            that there are in a folder. Of a folder it leaves a seeded sample of users.
        train_limit: Most examples to train on, a task; None where `limit` says it.
        seeds: Each seed makes runs of its own; None for those of the preset.
        holdout: Share of the users to score, in [0, 1]; the others train. None where data has a train split.
        profiles: Whether examples have their own user's profile or another user's.
        swap: Whether each run on own profiles is repeated with swapped ones, as a control.
        adapter: Name or folder of a run whose trained module is applied instead of training one.
        out: The folder of runs.
        again: Whether what stands there is made anew.
        texts: Whether `rpobench show` and reports may show the texts of the runs.
        base_url: Address of the server of a served base model.
        concurrency: Requests to that server at a time.
        price: The base model's price, as `--price` takes it; None where no dollars are counted.
        max_cost: Dollars after which the runs stop; None for no limit.
        model_options: Options of a served base model and further content of its requests, by name.
        think_tokens: Tokens added to the base model's longest answer, so that it can think before it.
        patience: Seconds that a rate limit of the base model's server is waited for.
        max_refused: The largest share of a run's examples that may stay without answer, in [0, 1].
        max_left_out: The largest share of a task's training examples that a fit may go without, in [0, 1].
        retry_unanswered: Whether examples and drafts that stayed without answer are asked for once more.
        label: What the rows of these runs are called; an empty one takes an earlier label away, None leaves it.
    """

    method: str
    task: str
    data: Location = "synth"
    split: str = "dev"
    base_model: str = "smollm2-135m"
    settings: Mapping[str, Any] = field(default_factory=dict)
    preset: str | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    train_limit: Annotated[int, Field(ge=1)] | None = None
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] | None = None
    holdout: Annotated[float, Field(ge=0, le=1)] | None = None
    profiles: Literal["own", "swapped"] = "own"
    swap: bool = True
    adapter: Location | None = None
    out: Path = Path("runs")
    again: bool = False
    texts: bool = True
    base_url: str | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    serve: str | None = None
    serve_wait: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    price: str | None = None
    max_cost: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    model_options: Mapping[str, Any] | None = None
    think_tokens: Annotated[int, Field(ge=0)] | None = None
    patience: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    max_refused: Share = MOST_REFUSED
    max_left_out: Share = MOST_LEFT_OUT
    retry_unanswered: bool = False
    label: Annotated[str, AfterValidator(check_label)] | None = None

    @property
    def chosen_preset(self) -> Preset:
        """The preset, whether it was named or goes with the data.

        Raises:
            RpobenchError: There is no such preset, or it is not for synthetic worlds.
        """
        is_world = Source(self.data).is_generated
        preset = get_preset(self.preset or ("quick" if is_world else "full"))
        if is_world and preset.examples is None:
            raise RpobenchError(f"--preset {preset.name}: is for official folders: give --data DIR, or leave it out")
        return preset

    @property
    def chosen_seeds(self) -> tuple[int, ...]:
        """The seeds, whether they were given or are those of the preset."""
        return self.seeds or self.chosen_preset.seeds

    @property
    def model_spec(self) -> str:
        """The base model's spec, with the room that it has to think."""
        if not self.think_tokens:
            return self.base_model
        return f"{self.base_model}{'&' if '?' in self.base_model else '?'}think_tokens={self.think_tokens}"

    def factory_options(self) -> dict[str, Any]:
        """Collect the options that the base model's factory takes beside its spec, as far as they were set, by name."""
        options = {
            "base_url": self.base_url,
            "concurrency": self.concurrency,
            "model_options": self.model_options,
            "patience": self.patience,
            "serve": self.serve,
            "serve_wait": self.serve_wait,
        }
        return {name: value for name, value in options.items() if value is not None}

    @property
    def refusal_limits(self) -> RefusalLimits:
        """What becomes of examples that a model does not answer."""
        return RefusalLimits(self.max_refused, self.max_left_out, self.retry_unanswered)


def make_plan(**options: Any) -> Plan:
    """Make the plan with these options.

    Args:
        **options: The fields of a `Plan`, by name.

    Returns:
        The plan.

    Raises:
        RpobenchError: An option is wrong; the message names the first one.
    """
    try:
        return Plan(**options)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])

        if first["type"] == "unexpected_keyword_argument":
            raise RpobenchError(
                f"run has no option '{name}': {suggest_names(name, Plan.__dataclass_fields__)}"
            ) from error

        option = OPTION_BY_FIELD.get(name, name).replace("_", "-")
        raise RpobenchError(f"--{option} {first['input']}: {first['msg']}") from error


def parse_task_names(text: str, all_tasks: Sequence[str] = ALL_TASKS) -> dict[str, bool]:
    """Read which tasks `--task` means.

    Args:
        text: Names separated by commas; `all` may stand among them.
        all_tasks: What `all` stands for.

    Returns:
        For each name, in order, whether it was named by itself. Only a task that `all` brought may lack data.
    """
    parts = [part.strip() for part in text.split(",")]

    task_names: list[str] = []
    for part in parts:
        task_names += all_tasks if part == "all" else (part,)
    return {name: name in parts for name in task_names}


def parse_method_names(text: str) -> list[str]:
    """Read which methods `--method` means.

    Args:
        text: Names separated by commas; `all`, `trained` and `untrained` may stand among them.

    Returns:
        The names in order, each once.
    """
    method_names: list[str] = []
    for part in text.split(","):
        name_or_group = part.strip()
        if name_or_group in GROUPS:
            method_names += _list_members(name_or_group)
        else:
            method_names.append(name_or_group)

    return list(dict.fromkeys(method_names))


def is_named(plan: Plan, method: Method) -> bool:
    """Say whether `--method` names this method by itself, and not only by a group."""
    return method.name in [part.strip() for part in plan.method.split(",")]


def _list_members(group: str) -> list[str]:
    """List the names of the methods in a group; a broken one is named on stderr and left out."""
    return [name for name, method in load_working_methods().items() if group in _list_groups_of(method)]


def _list_groups_of(method: type[Method]) -> tuple[str, ...]:
    """List the groups that a method is in; a method that only counts its users' items is no trained one."""
    if method.by_name_only:
        return ()
    return ("all", "trained" if method.trains and not method.only_counts else "untrained")


def configure_methods(plan: Plan) -> list[Method]:
    """Configure each method of a plan: with its defaults, then the preset's values, then those of `--set`.

    Args:
        plan: What to run.

    Returns:
        The methods in order, not yet fitted.

    Raises:
        RpobenchError: The preset, a method, an option of `--set` or its value is unknown.
    """
    preset = plan.chosen_preset
    method_classes = [get_method(name) for name in parse_method_names(plan.method)]
    if plan.label and len(method_classes) > 1:
        raise RpobenchError(f"--label {plan.label}: is of one row, and --method {plan.method} makes several: give one")

    knobs: set[str] = set()
    for method_class in method_classes:
        knobs |= method_class.Config.model_fields.keys()
    for knob in plan.settings:
        if knob not in knobs:
            raise RpobenchError(f"--set {knob}: no such option of {plan.method}: {suggest_names(knob, sorted(knobs))}")

    return [method_class(_configure(method_class, plan, preset)) for method_class in method_classes]


def _configure(method_class: type[Method], plan: Plan, preset: Preset) -> BaseModel:
    values = choose_preset_values(method_class, preset.name)
    values |= {knob: value for knob, value in plan.settings.items() if knob in method_class.Config.model_fields}
    return make_config(method_class, values)


def make_config(method_class: type[Method], values: Mapping[str, Any]) -> BaseModel:
    """Make a method's config.

    Args:
        method_class: The method.
        values: Its knobs that are set; the others have their defaults.

    Returns:
        The config.

    Raises:
        RpobenchError: A value is wrong; the message names the first one.
    """
    try:
        return method_class.Config(**values)
    except ValidationError as error:
        first = error.errors()[0]
        knob = ".".join(map(str, first["loc"]))

        raise RpobenchError(f"--set {knob}={first['input']}: {first['msg']}") from error


def get_preset(name: str) -> Preset:
    """Look up a preset.

    Args:
        name: Such as `quick`.

    Returns:
        The preset.

    Raises:
        RpobenchError: There is no such preset.
    """
    if name not in PRESETS:
        raise RpobenchError(f"unknown preset '{name}': {suggest_names(name, PRESETS)}")

    return PRESETS[name]
