"""The synthetic world: LaMP's form, made-up users, known ceilings. Its tables say "synthetic, not LaMP".

`world` makes the data sets and `life` one user. `mechanism` is what a task must say, in one file a task (`lamp3`) with
its word lists (`lamp3_words`).
"""

from rpobench.data.synth.knobs import Knobs
from rpobench.data.synth.life import Piece, Story
from rpobench.data.synth.world import (
    MECHANISMS,
    SYNTH_VERSION,
    VERSIONS,
    generate,
    generate_stories,
    make_mechanism,
)

__all__ = [
    "MECHANISMS",
    "SYNTH_VERSION",
    "VERSIONS",
    "Knobs",
    "Piece",
    "Story",
    "generate",
    "generate_stories",
    "make_mechanism",
]
