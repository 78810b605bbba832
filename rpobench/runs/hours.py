"""How long runs will take on this machine: the tokens of each that a local model works on, at speeds of a sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rpobench.method.token_work import TokenWork
from rpobench.models.protocol import LanguageModel
from rpobench.registry import get_model
from rpobench.runs.machine_speed import MachineSpeed, measure_speed

if TYPE_CHECKING:
    from rpobench.models.local.transformers import TransformersModel

MINUTE = 60


@dataclass(frozen=True)
class PlannedWork:
    """A part of a plan that a local model works on.

    Attributes:
        name: What it is, such as "LaMP-3 drafts" or "rpo fit".
        model: The spec of the method's own model; None for the base model.
        tokens: What is to be done.
    """

    name: str
    model: str | None
    tokens: TokenWork


@dataclass(frozen=True)
class TimedWork:
    """A part of a plan with the time that it takes."""

    name: str
    minutes: float


@dataclass(frozen=True)
class Hours:
    """How long a plan takes.

    Attributes:
        parts: The time of each part; none of those without a local model.
        minutes: All parts together.
        peak_memory: Bytes that the process holds at most; None where no model was measured.
        uncounted: What takes time that is not known, such as the answers of a server.
    """

    parts: Sequence[TimedWork] = ()
    minutes: float = 0.0
    peak_memory: int | None = None
    uncounted: Sequence[str] = ()

    def describe(self) -> Iterator[str]:
        """Describe it, a line for each part and one for the whole.

        Yields:
            The lines.
        """
        for part in self.parts:
            yield f"  {part.minutes:7.1f} minutes  {part.name}"

        if self.parts:
            memory = f", {self.peak_memory / 1e9:.1f} GB of memory" if self.peak_memory else ""
            yield f"estimate: about {format_minutes(self.minutes)} on this machine{memory}"
        if self.uncounted:
            yield f"estimate: time not known of {', '.join(self.uncounted)}"


def format_minutes(minutes: float) -> str:
    """Write a time as people say it: `12 minutes`, `3.4 hours`."""
    if minutes > 2 * MINUTE:
        return f"{minutes / MINUTE:.1f} hours"
    return f"{round(minutes)} minutes" if minutes >= 1.5 else "1 minute"


@dataclass
class WorkList:
    """Collects the parts of a plan; those of one name are added up.

    Attributes:
        uncounted: What takes time that is not known.
    """

    uncounted: list[str] = field(default_factory=list)
    _tokens: dict[str, dict[str | None, TokenWork]] = field(default_factory=dict)

    def add(self, part: PlannedWork) -> None:
        """Add a part."""
        tokens_by_model = self._tokens.setdefault(part.name, {})
        tokens_by_model[part.model] = tokens_by_model.get(part.model, TokenWork()) + part.tokens

    def total(self, model: str | None) -> TokenWork:
        """Add up all that a model has to do; None is the base model."""
        return sum((tokens.get(model, TokenWork()) for tokens in self._tokens.values()), TokenWork())

    def take_time(self, base_model: LanguageModel) -> Hours:
        """Measure the models that work, and tell how long each part takes.

        Args:
            base_model: The model that is personalized. Its part is known where it is a local one.

        Returns:
            The hours.
        """
        speeds = self._measure(base_model)
        uncounted = list(self.uncounted)
        if None not in speeds and self.total(None) != TokenWork():
            uncounted.append(f"{base_model.identity}, which answers elsewhere")

        timed = []
        for name, tokens_by_model in self._tokens.items():
            seconds = [speeds[model].seconds(tokens) for model, tokens in tokens_by_model.items() if model in speeds]
            if sum(seconds):
                timed.append(TimedWork(name, sum(seconds) / MINUTE))

        peak_memory = max((speed.peak_memory for speed in speeds.values()), default=None)
        return Hours(timed, sum(part.minutes for part in timed), peak_memory, uncounted)

    def _measure(self, base_model: LanguageModel) -> dict[str | None, MachineSpeed]:
        """The speed of each local model that has something to do; models of the same weights are measured once."""
        models: dict[str | None, TransformersModel] = {}
        specs = dict.fromkeys(model for tokens in self._tokens.values() for model in tokens)
        for spec in specs:
            model = find_local_model(base_model if spec is None else get_model(spec))
            if model is not None and self.total(spec) != TokenWork():
                models[spec] = model

        trains = any(self.total(spec).trained for spec in models)
        speeds: dict[str, MachineSpeed] = {}
        for model in models.values():
            if model.identity not in speeds:
                speeds[model.identity] = measure_speed(model, trains=trains)
        return {spec: speeds[model.identity] for spec, model in models.items()}


def find_local_model(model: LanguageModel) -> TransformersModel | None:
    """Find the local model in a model that counts or keeps its answers; None where there is none."""
    from rpobench.models.local.transformers import TransformersModel

    while hasattr(model, "inner"):
        model = model.inner
    return model if isinstance(model, TransformersModel) else None
