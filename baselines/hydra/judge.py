"""A small trained judge of texts: a trunk that all users share, and a head for each user.

The shape is HYDRA's (arXiv 2406.02888, section 3.4). There both parts are layers of a language model; here the trunk is
one layer over frozen sentence vectors, and a user's head is what she adds to the head that all share, so that a user
without history is judged for as everybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from safetensors.torch import load_file, save_file
from torch.nn.functional import binary_cross_entropy_with_logits

from rpobench.api import RpobenchError
from rpobench.models.encoder import Encoder
from rpobench.store.identity import KEY, digest
from rpobench.store.recorded import recorded_digest

WEIGHTS = "judge.safetensors"
DECAY = 0.01  # of all weights, as HYDRA's released settings have it
SCALE = 10.0  # of the products of two unit vectors' entries, which are smaller than the entries
HEAD_STEPS = 50  # at most, of a convex descent
Head: TypeAlias = torch.Tensor  # what a user adds to the weights and the bias of the shared head


@dataclass(frozen=True, slots=True)
class Row:
    """A text beside the query that it is judged for.

    Attributes:
        query: What is asked.
        text: What is judged.
        hints: Numbers that the texts do not show.
        target: How good the text is, in [0, 1]; 0 where that is not known.
    """

    query: str
    text: str
    hints: tuple[float, ...]
    target: float = 0.0


@dataclass(frozen=True, slots=True)
class JudgeTraining:
    """How a judge is trained.

    Attributes:
        width: How many units the trunk's hidden layer has.
        steps: How many steps of descent go over the rows of all users.
        learning_rate: The learning rate of these steps.
        shrinkage: How much the size of a user's own head costs.
        seed: What the first weights depend on.
    """

    width: int
    steps: int
    learning_rate: float
    shrinkage: float
    seed: int


class Features(NamedTuple):
    """What a trunk reads of n rows.

    Attributes:
        queries: The queries' unit vectors, (n, dimension).
        texts: The texts' unit vectors, (n, dimension).
        hints: The hints, (n, hints).
    """

    queries: torch.Tensor
    texts: torch.Tensor
    hints: torch.Tensor


class Trunk(torch.nn.Module):  # type: ignore[misc]  # torch is read untyped
    """One hidden layer over what two vectors say together, and the shared head.

    A head reads that layer, the vectors' own product and the hints: it has width + 1 + hints weights and a bias.

    Args:
        dimension: Of the sentence vectors.
        hints: How many hints a row has.
        width: How many units the hidden layer has.
    """

    def __init__(self, dimension: int, hints: int, width: int) -> None:
        super().__init__()

        self.hidden = torch.nn.Linear(3 * dimension, width)
        self.shared = torch.nn.Linear(width + 1 + hints, 1)

    def forward(self, features: Features) -> torch.Tensor:
        """Return what a head reads of each row, (n, width + 1 + hints)."""
        product = features.queries * features.texts
        inputs = torch.cat([features.queries, features.texts, SCALE * product], dim=1)
        hidden = torch.tanh(self.hidden(inputs))

        return torch.cat([hidden, product.sum(-1, keepdim=True), features.hints], dim=1)

    def logits(self, head_inputs: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
        """Judge rows by the shared head and the users' heads together.

        Args:
            head_inputs: What `forward` returned, (n, weights).
            heads: The head of each row's user, (n, weights + bias).

        Returns:
            One logit a row, (n).
        """
        shared_logits = self.shared(head_inputs).squeeze(-1)

        return shared_logits + (head_inputs * heads[:, :-1]).sum(-1) + heads[:, -1]

    def empty_head(self) -> Head:
        """Return the head of a user who adds nothing."""
        return torch.zeros(self.shared.in_features + 1)


class Judge:
    """Scores texts for a query and a user. Learned from many users by `fit`, for a new one by `learn_head`.

    Args:
        encoder: Makes the vectors of queries and texts.
        training: How it is trained.
        trunk: What `fit` learned before; None for a judge that is still to be trained.
    """

    def __init__(self, encoder: Encoder, training: JudgeTraining, trunk: Trunk | None = None) -> None:
        self._encoder = encoder
        self._training = training
        self._trunk = trunk

    def fit(self, users: Sequence[Sequence[Row]]) -> list[Head]:
        """Learn the trunk, and each user's head, from the rows of all users.

        Args:
            users: The rows of each user.

        Returns:
            The head of each user, in order.

        Raises:
            RpobenchError: There is no row at all.
        """
        rows = list(chain.from_iterable(users))
        if not rows:
            raise RpobenchError("none of the training users has a past item to learn from: give training data that has")

        features, targets = self._features(rows), _targets(rows)
        row_counts = torch.tensor([len(user_rows) for user_rows in users])
        user_indices = torch.arange(len(users)).repeat_interleave(row_counts)  # of each row

        self._trunk = trunk = self._new_trunk(features)
        heads = trunk.empty_head().repeat(len(users), 1).requires_grad_()
        optimizer = torch.optim.AdamW([*trunk.parameters(), heads], lr=self._training.learning_rate, weight_decay=DECAY)

        for _ in range(self._training.steps):
            optimizer.zero_grad()
            logits = trunk.logits(trunk(features), heads[user_indices])
            self._loss(logits, targets, heads).backward()
            optimizer.step()

        trunk.requires_grad_(False)
        return list(heads.detach())

    def learn_head(self, rows: Sequence[Row]) -> Head:
        """Learn a new user's head, the trunk as it is.

        Args:
            rows: Her own rows.

        Returns:
            Her head, which without rows adds nothing to the shared one.
        """
        trunk = self._learned_trunk
        head = trunk.empty_head().requires_grad_()
        if not rows:
            return head.detach()

        head_inputs, targets = trunk(self._features(rows)), _targets(rows)
        optimizer = torch.optim.LBFGS([head], max_iter=HEAD_STEPS, line_search_fn="strong_wolfe")  # the loss is convex

        def compute_loss() -> torch.Tensor:
            optimizer.zero_grad()
            loss = self._loss(trunk.logits(head_inputs, head.expand(len(rows), -1)), targets, head)
            loss.backward()
            return loss

        optimizer.step(compute_loss)
        return head.detach()

    def score(self, rows: Sequence[Row], head: Head) -> list[float]:
        """Say how good each row's text is for a user; only the order of the numbers means anything."""
        if not rows:
            return []

        trunk = self._learned_trunk
        logits: list[float] = trunk.logits(trunk(self._features(rows)), head.expand(len(rows), -1)).tolist()
        return logits

    def save(self, folder: Path) -> None:
        """Write the trunk with the shared head, and no user's head: those are kept by user (`heads.Heads`)."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self._learned_trunk.state_dict(), folder / WEIGHTS)

    @property
    def identity(self) -> str:
        """Hash of what was learned."""
        hashes = []
        for name, tensor in sorted(self._learned_trunk.state_dict().items()):
            hashes.append([name, hashlib.sha256(tensor.numpy().tobytes()).hexdigest()])

        return digest(hashes, KEY)

    @property
    def recorded_identity(self) -> str:
        """The same as version 0.1 hashed it."""
        weights = sorted(self._learned_trunk.state_dict().items())

        return recorded_digest(repr(([(name, tensor.numpy().tobytes()) for name, tensor in weights],)), KEY)

    @classmethod
    def load(cls, folder: Path, encoder: Encoder, training: JudgeTraining) -> Judge:
        """Return a judge as `save` left it."""
        weights = load_file(folder / WEIGHTS)
        width, input_size = weights["hidden.weight"].shape
        hints = weights["shared.weight"].shape[1] - width - 1

        trunk = Trunk(input_size // 3, hints, width)
        trunk.load_state_dict(weights)
        return cls(encoder, training, trunk.requires_grad_(False))

    @property
    def _learned_trunk(self) -> Trunk:
        """The trunk, which there is once the judge was trained or loaded."""
        assert self._trunk is not None
        return self._trunk

    def _new_trunk(self, features: Features) -> Trunk:
        """A trunk with the seed's own weights; other random numbers stay as they are."""
        with torch.random.fork_rng():
            torch.manual_seed(self._training.seed)
            return Trunk(features.queries.shape[1], features.hints.shape[1], self._training.width)

    def _loss(self, logits: torch.Tensor, targets: torch.Tensor, heads: torch.Tensor) -> torch.Tensor:
        """Cross-entropy a row, and the heads' size: the more rows, the less it weighs."""
        head_size = self._training.shrinkage * heads.square().sum() / len(targets)

        return binary_cross_entropy_with_logits(logits, targets) + head_size

    def _features(self, rows: Sequence[Row]) -> Features:
        """The vectors of queries and texts, each encoded once, and the hints."""
        index_by_text: dict[str, int] = {}
        for row in rows:
            index_by_text.setdefault(row.query, len(index_by_text))
            index_by_text.setdefault(row.text, len(index_by_text))

        vectors = torch.from_numpy(self._encoder.encode(list(index_by_text))).float()
        vectors = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-6)

        query_indices = [index_by_text[row.query] for row in rows]
        text_indices = [index_by_text[row.text] for row in rows]
        hints = torch.tensor([row.hints for row in rows])
        return Features(vectors[query_indices], vectors[text_indices], hints)


def _targets(rows: Sequence[Row]) -> torch.Tensor:
    return torch.tensor([row.target for row in rows])
