"""The summary of a finished run: what `rpobench run` prints of it, as a table row or with `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rpobench.runs.refusals import list_unanswered
from rpobench.scoring.row_labels import label_runs
from rpobench.store.origin import DataOrigin
from rpobench.store.spec import DataSpec
from rpobench.store.stored_run import StoredRun
from rpobench.task.contract import Task


@dataclass(frozen=True)
class ReferenceScores:
    """What a run is compared with, in its main metric. None where there is no such reference.

    Attributes:
        draft: The drafts that the method started from.
        best_generic: The best answers without personalization, on synthetic data.
        oracle: The answers of somebody who knows the user's habits, on synthetic data.
        swapped: The same run with swapped profiles.
    """

    draft: float | None
    best_generic: float | None
    oracle: float | None
    swapped: float | None


@dataclass(frozen=True)
class RunSummary:
    """A finished run in short.

    Attributes:
        run: The name of its folder.
        task: The task's name.
        method: The method's name.
        metrics: The official metrics, by name.
        main_metric: The metric that methods are compared by.
        higher_is_better: Whether more of the main metric is better.
        n: Examples scored.
        failed: Examples of which no answer could be read.
        seconds: What predicting took, with the drafts at what they took when they were made.
        references: What the main metric is compared with.
        kept_share: Share of the examples whose draft a gate kept; None for methods without a gate.
        unanswered: Ids of the examples that the model gave no answer to.
        row: What its row is called in tables: its label, or its method with what differs from the reference row.
        seed: Its seed.
        serves_every_seed: Whether other seeds would answer alike.
        knobs: The method's knobs that differ from their defaults.
        base_model: The identity of the base model.
        data: Data set, of a made-up world which, and split, in words; and where it comes from, where it says so.
        draw: The seed that the users were drawn with; None where all are there.
        unscored: Whether the split has no targets, so that there are no metrics.
    """

    run: str
    task: str
    method: str
    metrics: Mapping[str, float]
    main_metric: str
    higher_is_better: bool
    n: int
    failed: int
    seconds: float
    references: ReferenceScores
    kept_share: float | None = None
    unanswered: Sequence[str] = ()
    row: str = ""
    seed: int = 0
    serves_every_seed: bool = False
    knobs: Mapping[str, Any] = field(default_factory=dict)
    base_model: str = ""
    data: str = ""
    draw: int | None = None
    unscored: bool = False

    @property
    def main_score(self) -> float | None:
        """The score in the main metric; None where nothing was scored."""
        return None if self.unscored else self.metrics[self.main_metric]

    @property
    def metric_label(self) -> str:
        """The main metric with an arrow to its better side, as a heading of tables."""
        return f"{self.main_metric} {'↑' if self.higher_is_better else '↓'}"

    @property
    def personalization_gain(self) -> float | None:
        """Own minus swapped profiles in the main metric, positive when the own profile is better.

        None where there is no run with swapped profiles, and where nothing was scored.
        """
        own_score, swapped_score = self.main_score, self.references.swapped
        if own_score is None or swapped_score is None:
            return None

        return own_score - swapped_score if self.higher_is_better else swapped_score - own_score

    def to_json(self) -> dict[str, Any]:
        """Return the object that `--json` prints.

        It has `kept` only for methods with a gate, `draw` where users were drawn, `unscored` where nothing was scored.
        """
        content = asdict(self) | {"unanswered": list(self.unanswered)}
        rare_fields = {"kept": content.pop("kept_share"), "draw": content.pop("draw")}
        rare_fields["unscored"] = content.pop("unscored") or None

        return content | {name: value for name, value in rare_fields.items() if value is not None}


def summarize(task: Task, run: StoredRun, control: StoredRun | None) -> RunSummary:
    """Sum up a finished run.

    Args:
        task: Its task.
        run: The run.
        control: The same run with swapped profiles, if there is one.

    Returns:
        The summary.
    """
    result, metric = run.result, task.main_metric

    references = ReferenceScores(
        draft=run.reference("draft", metric),
        best_generic=run.reference("best_generic", metric),
        oracle=run.reference("oracle", metric),
        swapped=control.main_value if control else None,
    )

    return RunSummary(
        run=run.name,
        task=task.name,
        method=run.spec.method,
        metrics=result.metrics,
        main_metric=metric,
        higher_is_better=task.metrics[metric] == "max",
        n=result.n,
        failed=result.failed,
        seconds=result.seconds,
        references=references,
        kept_share=result.kept_draft_share,
        unanswered=list_unanswered(run.predictions()) if result.unanswered else (),
        row=label_runs([run])[0],
        seed=run.spec.seed,
        knobs=run.spec.knobs or {},
        base_model=run.spec.base_model,
        data=describe_data(run.spec.data, synthetic=result.synthetic, origin=result.origin),
        draw=run.spec.data.seed if run.spec.data.sample else None,
        unscored=result.unscored,
    )


def describe_data(data: DataSpec, *, synthetic: bool, origin: DataOrigin | None = None) -> str:
    """Write which data a run was scored on: `synth-v2, world 0, split dev`; and its sources, where it names them."""
    world = f", world {data.seed}" if synthetic else ""
    holdout = f", {data.holdout:g} of the users held out" if data.holdout else ""

    drawn = f", users drawn with seed {data.seed}" if data.sample else ""
    sources = f", from {origin.describe()}" if origin else ""

    return f"{data.source}{world}, split {data.split}{holdout}{drawn}{sources}"
