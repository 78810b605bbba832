"""A small trained judge of texts: a trunk that all users share, and a head of her own for each.

The shape is HYDRA's (arXiv 2406.02888, section 3.4). There both parts are layers of a language model; here the trunk is
one layer over frozen sentence vectors, and a user's head is what she adds to the head that all share, so that a user
without history is judged for as everybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import binary_cross_entropy_with_logits

from rpobench.models.encoder import Encoder
from rpobench.store.identity import KEY, digest
from rpobench.store.recorded import recorded_digest
from rpobench.types import RpobenchError

WEIGHTS = "judge.safetensors"
DECAY = 0.01  # of all weights, as HYDRA's released settings have it
SCALE = 10.0  # of the products of two unit vectors' entries, which are smaller than the entries
HEAD_STEPS = 50  # at most, of a convex descent
Features = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # vectors of queries and of texts (n, d), hints (n, m)
Head: TypeAlias = torch.Tensor  # what a user adds to the weights and the bias of the shared head


@dataclass(frozen=True, slots=True)
class Row:
    """A text beside the query that it is judged for. `hints` are numbers that the texts do not show.

    `target` in [0, 1] is how good the text is, where that is known.
    """

    query: str
    text: str
    hints: tuple[float, ...]
    target: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgeTraining:
    """`width` of the trunk, `steps` and rate of the descent over all rows, and how much a user's own head costs."""

    width: int
    steps: int
    learning_rate: float
    shrinkage: float
    seed: int


class Trunk(torch.nn.Module):  # type: ignore[misc]  # torch is read untyped
    """One hidden layer over what two vectors (n, d) say together, and the shared head.

    A head reads that layer, the vectors' own product and the hints (n, m): it has width + m + 1 weights and a bias.
    """

    def __init__(self, dimension: int, hints: int, width: int) -> None:
        super().__init__()
        self.hidden = torch.nn.Linear(3 * dimension, width)
        self.shared = torch.nn.Linear(width + 1 + hints, 1)

    def forward(self, asked: torch.Tensor, given: torch.Tensor, hints: torch.Tensor) -> torch.Tensor:
        """What a head reads of each row, (n, width + m + 1)."""
        together = asked * given
        hidden = torch.tanh(self.hidden(torch.cat([asked, given, SCALE * together], dim=1)))
        return torch.cat([hidden, together.sum(-1, keepdim=True), hints], dim=1)

    def logits(self, read: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
        """(n) logits of what was read, by the shared head and the users' (n, weights + bias) together."""
        return self.shared(read).squeeze(-1) + (read * heads[:, :-1]).sum(-1) + heads[:, -1]

    def nobody(self) -> Head:
        """The head of a user who adds nothing."""
        return torch.zeros(self.shared.in_features + 1)


class Judge:
    """Scores texts for a query and a user. Learned from many users by `fit`, for a new one by `head`."""

    def __init__(self, encoder: Encoder, training: JudgeTraining, trunk: Trunk | None = None) -> None:
        self._encoder, self._training, self._trunk = encoder, training, trunk

    def fit(self, users: Sequence[Sequence[Row]]) -> list[Head]:
        """Learn the trunk, and each user's head, from the rows of all users. Raises RpobenchError without any row."""
        rows = [row for own in users for row in own]
        if not rows:
            raise RpobenchError("none of the training users has a past item to learn from: give training data that has")
        (asked, given, hints), targets = self._features(rows), _targets(rows)
        owners = torch.tensor([place for place, own in enumerate(users) for _ in own])
        with torch.random.fork_rng():
            torch.manual_seed(self._training.seed)
            self._trunk = trunk = Trunk(asked.shape[1], hints.shape[1], self._training.width)
        heads = trunk.nobody().repeat(len(users), 1).requires_grad_()
        optimizer = torch.optim.AdamW([*trunk.parameters(), heads], lr=self._training.learning_rate, weight_decay=DECAY)
        for _ in range(self._training.steps):
            optimizer.zero_grad()
            self._loss(trunk.logits(trunk(asked, given, hints), heads[owners]), targets, heads).backward()
            optimizer.step()
        trunk.requires_grad_(False)
        return list(heads.detach())

    def head(self, rows: Sequence[Row]) -> Head:
        """A new user's head from her own rows, the trunk as it is; without rows she adds nothing to the shared head."""
        trunk = self._learned
        head = trunk.nobody().requires_grad_()
        if not rows:
            return head.detach()
        read, targets = trunk(*self._features(rows)), _targets(rows)
        optimizer = torch.optim.LBFGS([head], max_iter=HEAD_STEPS, line_search_fn="strong_wolfe")  # the loss is convex

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            value = self._loss(trunk.logits(read, head.expand(len(rows), -1)), targets, head)
            value.backward()
            return value

        optimizer.step(loss)
        return head.detach()

    def scores(self, rows: Sequence[Row], head: Head) -> list[float]:
        """How good each row's text is for this user; only the order means anything."""
        if not rows:
            return []
        trunk = self._learned
        found: list[float] = trunk.logits(trunk(*self._features(rows)), head.expand(len(rows), -1)).tolist()
        return found

    def save(self, folder: Path) -> None:
        """Write the trunk with the shared head; heads are the users'."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._learned.state_dict(), folder / WEIGHTS)

    @property
    def identity(self) -> str:
        """Hash of what was learned."""
        weights = sorted(self._learned.state_dict().items())
        return digest([[name, hashlib.sha256(tensor.numpy().tobytes()).hexdigest()] for name, tensor in weights], KEY)

    @property
    def recorded_identity(self) -> str:
        """The same as version 0.1 hashed it."""
        weights = sorted(self._learned.state_dict().items())
        return recorded_digest(repr(([(name, tensor.numpy().tobytes()) for name, tensor in weights],)), KEY)

    @classmethod
    def load(cls, folder: Path, encoder: Encoder, training: JudgeTraining) -> Judge:
        """A judge as `save` left it."""
        weights = load_file(folder / WEIGHTS)
        width, read = weights["hidden.weight"].shape
        trunk = Trunk(read // 3, weights["shared.weight"].shape[1] - width - 1, width)
        trunk.load_state_dict(weights)
        return cls(encoder, training, trunk.requires_grad_(False))

    @property
    def _learned(self) -> Trunk:
        assert self._trunk is not None
        return self._trunk

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
        """Cross-entropy a row, and the heads' size: the more rows, the less it weighs."""
        size = self._training.shrinkage * heads.square().sum() / len(targets)
        return binary_cross_entropy_with_logits(logits, targets) + size

    def _features(self, rows: Sequence[Row]) -> Features:
        texts = list(dict.fromkeys(text for row in rows for text in (row.query, row.text)))
        vectors = torch.from_numpy(self._encoder.encode(texts)).float()
        vectors = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-6)
        places = {text: place for place, text in enumerate(texts)}
        asked, given = [places[row.query] for row in rows], [places[row.text] for row in rows]
        return vectors[asked], vectors[given], torch.tensor([row.hints for row in rows])


def _targets(rows: Sequence[Row]) -> torch.Tensor:
    return torch.tensor([row.target for row in rows])
