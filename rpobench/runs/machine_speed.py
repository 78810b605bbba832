"""How fast this machine is with a local model: a sample of some seconds, in batches as runs have them."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpobench.method.token_work import TokenWork

if TYPE_CHECKING:
    from rpobench.models.local.transformers import TransformersModel

PROMPT = 256  # tokens of a sample's prompt
READ_ROWS, WRITTEN_ROWS, SAMPLED_ROWS, TRAINED_ROWS = 4, 32, 16, 2
STEPS = 6  # tokens that each row of a sample writes
BESIDE = 1.6  # times the tokens alone: ragged batches, evaluations, checkpoints, files (docs/performance.md)
SHORTEST = 1e-4  # seconds: less is within the error of a clock
ANSWER = 64  # tokens of a training row that bear a loss


@dataclass(frozen=True)
class MachineSpeed:
    """Tokens a second, by what is done with them.

    Attributes:
        read: Read as a prompt.
        written: Written in prediction, all rows of a batch together.
        sampled: Written in training.
        trained: Learned from.
        peak_memory: Bytes that the process held at most, the sample included.
    """

    read: float
    written: float
    sampled: float
    trained: float
    peak_memory: int

    def seconds(self, work: TokenWork) -> float:
        """Compute how long work takes at this speed."""
        tokens_alone = (
            work.read / self.read
            + work.written / self.written
            + work.sampled / self.sampled
            + work.trained / self.trained
        )
        return BESIDE * tokens_alone


def measure_speed(model: TransformersModel, *, trains: bool) -> MachineSpeed:
    """Let a model work on a sample, as announced on stderr.

    Args:
        model: The model.
        trains: Whether training is sampled too. Without, its speeds are infinite: no work of that kind is there.

    Returns:
        The speeds.
    """
    import torch

    from rpobench.models.local.generation import generate_ids
    from rpobench.models.local.likelihoods import score_rows
    from rpobench.types import Decoding

    print(f"estimate: measures {model.name} on this machine, some seconds", file=sys.stderr)
    generator = torch.Generator().manual_seed(0)
    vocabulary = len(model.model.get_input_embeddings().weight)

    def draw_rows(count: int, length: int) -> list[list[int]]:
        rows: list[list[int]] = torch.randint(vocabulary, (count, length), generator=generator).tolist()
        return rows

    def read() -> None:
        score_rows(model.model, read_rows, [row[-1:] for row in read_rows], filler=0)

    def write(tokens: int) -> None:
        generate_ids(model.model, short_rows, Decoding(tokens), [0] * len(short_rows), stop_tokens=[], filler=0)

    read_rows, short_rows = draw_rows(READ_ROWS, PROMPT), draw_rows(WRITTEN_ROWS, 16)
    read_speed = READ_ROWS * PROMPT / _time(read)
    step_seconds = _time_step(write)
    sampled = trained = float("inf")
    if trains:
        sampled, trained = _measure_training(model.path, draw_rows)

    return MachineSpeed(read_speed, WRITTEN_ROWS / step_seconds, sampled, trained, _peak_memory())


def _measure_training(checkpoint: Path, draw_rows: Callable[[int, int], list[list[int]]]) -> tuple[float, float]:
    """Tokens a second that are sampled and learned from, with a fresh adapter and the machine's arithmetic."""
    import torch

    from rpobench.models.local.generation import continue_prompts
    from rpobench.models.local.loading import silence_libraries
    from rpobench.models.local.sampling import GlobalChoice
    from rpobench.rpo.training.arguments import mixed_precision
    from rpobench.rpo.training.log_probs import completion_logits
    from rpobench.rpo.training.merged_sampler import MergedSampler
    from rpobench.rpo.training.policy import new_policy

    with silence_libraries():
        policy = new_policy(checkpoint, rank=16, seed=0)
        sampler = MergedSampler(checkpoint) if mixed_precision() and not torch.cuda.is_available() else None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    policy = policy.to(device)
    optimizer = torch.optim.AdamW(weight for weight in policy.parameters() if weight.requires_grad)
    autocast = torch.autocast(device, torch.bfloat16, enabled=mixed_precision())

    def sample(tokens: int) -> None:
        model = sampler.model if sampler else policy
        with torch.no_grad():
            continue_prompts(model, short_rows, GlobalChoice(tokens, 1.0), [], filler=0)

    def learn() -> None:
        rows = torch.tensor(training_rows, device=device)
        with autocast:
            logits = completion_logits(policy, rows, torch.ones_like(rows), ANSWER)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, -ANSWER:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    short_rows, training_rows = draw_rows(SAMPLED_ROWS, 16), draw_rows(TRAINED_ROWS, PROMPT)
    trained = TRAINED_ROWS * PROMPT / _time(learn)
    return SAMPLED_ROWS / _time_step(sample), trained


def _time_step(write: Callable[[int], None]) -> float:
    """The seconds of one token of every row: what further tokens add to the first one."""
    seconds = _time(lambda: write(STEPS + 1)) - _time(lambda: write(1))

    return max(seconds, SHORTEST) / STEPS


def _time(work: Callable[[], Any]) -> float:
    """The seconds of the second of two rounds: the first one warms up."""
    work()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _peak_memory() -> int:
    """Bytes that this process held at most."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
