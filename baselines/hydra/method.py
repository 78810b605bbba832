"""A black box with trained judges: one orders the user's history, one chooses among the base model's answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel
from rpobench.baselines.hydra.config import VERSION, ChooserConfig

from rpobench.api import (
    Example,
    FitContext,
    Labelled,
    Method,
    PredictContext,
    Prediction,
    Task,
    Usage,
    content_free_wording,
    sample_pair,
)
from rpobench.models.encoder import Encoder
from rpobench.registry import find_encoder
from rpobench.store.processes import is_first

if TYPE_CHECKING:
    from rpobench.baselines.hydra.chooser import Chooser

JUDGES = "judges"


class Hydra(Method):
    """HYDRA (arXiv 2406.02888): a reranker and a scorer around a frozen model, each a shared trunk with a head a user.

    A scored user's heads are learned from her own past items, the trunks as they are (section 3.4). Three things are
    ours: small trunks over frozen sentence vectors (HYDRA: Longformer), an item's own answer as the sign of its use
    (see `chooser`), and a label task's labels as its candidates. It is n/a where items hold no answer (LaMP-1): neither
    part could learn from them. The released code is for LaMP-2N and LaMP-2 to LaMP-5.
    """

    name = "hydra"
    version = VERSION
    trains = True
    by_name_only = True
    fits_by_asking = True

    class Config(ChooserConfig):
        """Evidence, and how the judges are fed and trained."""

    def __init__(self, config: BaseModel, judges_folder: Path | None = None) -> None:
        super().__init__(config)
        self._judges_folder = judges_folder

    def applies_to(self, task: Task) -> bool:
        return bool(task.answer_field)

    def models(self) -> Mapping[str, str]:
        identities = {"encoder": self._encoder.identity}
        ranking_encoder = find_encoder(self.retrievers())
        if ranking_encoder:
            identities["retriever_encoder"] = ranking_encoder
        return identities

    def prompts(self, tasks: Sequence[Task]) -> list[object]:
        return [[sample_pair(task) for task in tasks], *content_free_wording(tasks)]

    def fit(self, train: Mapping[Task, Sequence[Labelled]], context: FitContext) -> None:
        if not is_first():
            return  # a fit of seconds, for one process

        self.fit_usage = Usage()
        self._judges_folder = context.folder / JUDGES
        for task, labelled in train.items():
            chooser = self._load_chooser(task, context.seed)
            self.fit_usage += chooser.fit(labelled, context)
            chooser.save(self._judges_folder / task.name)

    def predict(self, task: Task, examples: Sequence[Example], context: PredictContext) -> Iterator[Prediction]:
        yield from self._load_chooser(task, context.seed).predict(examples, context)

    def read_again(self, task: Task, prediction: Prediction) -> Prediction | None:
        """Read a chosen label. Of texts None: the judge read every candidate, and the others are not stored."""
        return super().read_again(task, prediction) if task.labels else None

    def save(self, path: Path) -> None:
        assert self._judges_folder is not None
        shutil.copytree(self._judges_folder, path / JUDGES)

    @classmethod
    def load(cls, path: Path, config: BaseModel) -> Hydra:
        return cls(config, path / JUDGES)

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.config.encoder)

    def _load_chooser(self, task: Task, seed: int) -> Chooser:
        from rpobench.baselines.hydra.chooser import Chooser

        assert self._judges_folder is not None
        return Chooser.load(self._judges_folder / task.name, task, self.config, self._encoder, seed=seed)
