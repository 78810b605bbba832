"""What a run showed the model of its profiles: how many items, what was cut, and whether they were to the point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rpobench.types import Prediction


def evidence_shown(predictions: Sequence[Prediction], topics: Mapping[str, str]) -> dict[str, float | None] | None:
    """The field `evidence` of a result; None where no prediction was made from evidence.

    `items` and `cut` are means an example: items shown, which are the first of their ranking, and reference tokens cut
    from them. `on_topic` is the share of the shown items that have their example's topic, in [0, 1]; None where
    `topics`, by id of example and profile item, does not know them.
    """
    shown = [(one.example_id, item) for one in predictions for item in one.evidence]
    if not shown:
        return None
    known = [topics[example] == topics[item] for example, item in shown if example in topics and item in topics]
    return {
        "items": len(shown) / len(predictions),
        "cut": sum(one.cut for one in predictions) / len(predictions),
        "on_topic": sum(known) / len(known) if known else None,
    }
