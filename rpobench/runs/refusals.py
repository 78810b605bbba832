"""Examples that a model never answers: how many a run may have, and how it tells of them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rpobench.method.left_out import MOST_LEFT_OUT
from rpobench.types import Prediction, RpobenchError

MOST_REFUSED = 0.2  # share of the examples of a run
NAMED = 20  # ids that a message names


@dataclass(frozen=True)
class RefusalLimits:
    """What a plan says of examples without answer.

    Attributes:
        most_refused: The largest share of a run's examples that may have no answer for good, in [0, 1].
        most_left_out: The largest share of a task's training examples that a fit may leave out, in [0, 1].
        asks_again: Whether examples without answer are asked once more.
    """

    most_refused: float = MOST_REFUSED
    most_left_out: float = MOST_LEFT_OUT
    asks_again: bool = False

    def is_settled(self, prediction: Prediction) -> bool:
        """Say whether nothing is to be asked again of this example."""
        return not prediction.unanswered or (prediction.permanent and not self.asks_again)

    def check_run(self, run: str, predictions: Iterable[Prediction], total: int) -> None:
        """Stop a run of which too many examples have no answer.

        Args:
            run: The name of the run.
            predictions: What was predicted by now.
            total: How many examples the run has.

        Raises:
            RpobenchError: Too many have none. What was predicted is on the disk.
        """
        failures = [prediction.failure for prediction in predictions if prediction.permanent]

        if len(failures) > self.most_refused * total:
            raise RpobenchError(
                f"{run}: {len(failures)} of {total} examples have no answer, the model refuses them or leaves them "
                f"empty ({failures[-1]}); more than --max-refused {self.most_refused:g} allows. Finished answers are "
                "kept: allow more, or mend the cause and ask again with --retry-unanswered"
            )


def list_unanswered(predictions: Mapping[str, Prediction]) -> list[str]:
    """List the ids of the examples that a model gave no answer to."""
    return [example_id for example_id, prediction in predictions.items() if prediction.unanswered]


def report_unanswered(run: str, predictions: Mapping[str, Prediction]) -> None:
    """Say on stderr which examples of a run have no answer, and whether they will be asked again.

    Args:
        run: The name of the run.
        predictions: All of its predictions by example id.
    """
    ids = list_unanswered(predictions)
    if not ids:
        return

    is_final = all(predictions[example_id].permanent for example_id in ids)
    advice = "--retry-unanswered asks them again" if is_final else "the same command asks them again"
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    print(
        f"{run}: {len(ids)} of {len(predictions)} examples have no answer ({predictions[ids[0]].failure}) and count as "
        f"wrong; {advice}: {', '.join(map(repr, ids[:NAMED]))}{more}",
        file=sys.stderr,
    )
