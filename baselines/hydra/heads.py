"""What is learned of one user: her heads of both judges, kept in a folder of her own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rpobench.baselines.hydra.candidates import Candidates
from rpobench.baselines.hydra.judge import Head
from safetensors.torch import load_file, save_file

from rpobench.api import Usage, first_failure, total_usage
from rpobench.store.files import read_json, write_json

WEIGHTS = "heads.safetensors"
USAGE = "usage.json"


@dataclass(frozen=True)
class Heads:
    """One user's heads of both judges.

    Attributes:
        reranking: Her head of the judge that ranks past items.
        scoring: Her head of the judge that chooses among answers.
        usage: What the base model was asked for them.
        failure: Why the base model gave no answer to one of the questions, as in `Completion`. Heads are learned
            without the questions that it refuses for good.
    """

    reranking: Head
    scoring: Head
    usage: Usage
    failure: str | None = None

    @classmethod
    def from_candidates(cls, reranking: Head, scoring: Head, candidates: Sequence[Candidates]) -> Heads:
        """Put heads together with the cost, and the first failure, of the candidates that they were learned from."""
        passing = [answers for answers in candidates if not answers.permanent]

        return cls(reranking, scoring, total_usage(candidates), first_failure(passing))

    def save(self, folder: Path) -> None:
        """Write them in the folder, which exists."""
        save_file({"reranking": self.reranking, "scoring": self.scoring}, folder / WEIGHTS)
        write_json(folder / USAGE, asdict(self.usage))

    @classmethod
    def load(cls, folder: Path) -> Heads:
        """Return heads as `save` left them."""
        return cls(**load_file(folder / WEIGHTS), usage=Usage(**read_json(folder / USAGE)))
