"""The tables that hold several sections against each other."""

from __future__ import annotations

from collections.abc import Sequence

from rpobench.leaderboard.cell_stats import Sheet
from rpobench.leaderboard.formats.across_models import ACROSS, arrange_across_models
from rpobench.leaderboard.formats.blocks import Block
from rpobench.leaderboard.formats.over_draws import OVER_DRAWS, arrange_over_draws


def arrange_summaries(sheets: Sequence[Sheet]) -> dict[str, list[Block]]:
    """Arrange what several sections tell together.

    Args:
        sheets: The sections with their figures.

    Returns:
        The tables under each heading; headings without a table are left out.
    """
    summaries = {ACROSS: arrange_across_models(sheets), OVER_DRAWS: arrange_over_draws(sheets)}

    return {heading: blocks for heading, blocks in summaries.items() if blocks}
