"""Who writes the trajectories that stage 1 learns: rules, a language model as teacher, or a file of earlier ones."""

from __future__ import annotations

from pathlib import Path

from rpobench.method.answering import TextPrivacy
from rpobench.method.left_out import LeftOut
from rpobench.registry import get_model
from rpobench.rpo.config import ModuleConfig, RPOConfig
from rpobench.rpo.trajectories.file_writer import FileWriter
from rpobench.rpo.trajectories.rule_writer import RuleWriter
from rpobench.rpo.trajectories.writer import TrajectoryWriter


def get_writer(
    config: ModuleConfig, folder: Path, *, seed: int, left_out: LeftOut, privacy: TextPrivacy | None = None
) -> TrajectoryWriter:
    """Open the writer that a config asks for. Only RPO's has a choice.

    Args:
        config: The knobs of the module.
        folder: Where a teacher keeps what it wrote.
        seed: What a teacher's samples depend on.
        left_out: Takes the examples that a teacher refuses.
        privacy: What of the examples stays out of shared caches.

    Returns:
        The writer.

    Raises:
        RpobenchError: The file or the teacher cannot be opened.
    """
    if isinstance(config, RPOConfig) and config.trajectories:
        return FileWriter(Path(config.trajectories))

    if isinstance(config, RPOConfig) and config.has_teacher:
        from rpobench.rpo.trajectories.teacher import TeacherWriter

        return TeacherWriter(
            get_model(config.teacher),
            folder,
            max_new_tokens=config.max_new_tokens,
            seed=seed,
            left_out=left_out,
            privacy=privacy,
        )

    return RuleWriter()
