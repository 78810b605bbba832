"""The synthetic world: LaMP's form, made-up users, known ceilings. Its tables say "synthetic, not LaMP"."""

from rpobench.data.synth.world import (
    MECHANISMS,
    SYNTH_VERSION,
    VERSIONS,
    Knobs,
    Piece,
    Story,
    generate,
    mechanism,
    stories,
)

__all__ = ["MECHANISMS", "SYNTH_VERSION", "VERSIONS", "Knobs", "Piece", "Story", "generate", "mechanism", "stories"]
