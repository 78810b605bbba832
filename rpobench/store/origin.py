"""Where real data comes from: sources, commits and licences, as manifests and results keep them."""

from __future__ import annotations

from rpobench.store.shape import Stored

COMMONS = "commons:"  # before the path of a folder that has a manifest, in `--data`
COMMIT_DIGITS = 10  # of a commit that readers see
NO_LICENCE = "licence not stated"


class SourceRepository(Stored):
    """A git repository that was read.

    Attributes:
        name: What readers know it by, such as `git/git`; empty where nobody said.
        commit: The commit that was read.
        folder: The folder inside it that was read; empty for all of it.
    """

    name: str
    commit: str
    folder: str = ""

    def describe(self) -> str:
        """Write what was read, such as `git/git at 1a3e64c6c4`."""
        folder = f" ({self.folder.rstrip('/')})" if self.folder else ""
        return f"{self.name or 'a repository'}{folder} at {self.commit[:COMMIT_DIGITS]}"


class DataSource(Stored):
    """One source of a data set.

    Attributes:
        source: The kind of source, such as `git-log`.
        repositories: What was read.
        licence: The licence of the texts; empty where nobody said.
        since: The first day of a question of dev and test, such as 2025-01-31; None for any.
    """

    source: str
    repositories: list[SourceRepository]
    licence: str
    since: str | None = None

    def describe(self) -> str:
        """Write the source, what was read, and its licence."""
        repositories = ", ".join(repository.describe() for repository in self.repositories)
        since = f", questions since {self.since}" if self.since else ""
        return f"{self.source} of {repositories}{since} ({self.licence or NO_LICENCE})"


class DataOrigin(Stored):
    """Where the examples of one task come from.

    Data that says so has a licence of its own. What the usual data of its task is bound to does not hold for it.

    Attributes:
        sources: The sources, by name.
    """

    sources: list[DataSource]

    def describe(self) -> str:
        """Write all sources in one line."""
        return "; ".join(source.describe() for source in self.sources)

    @property
    def licences(self) -> str:
        """The licences of all sources, each once."""
        return ", ".join(dict.fromkeys(source.licence or NO_LICENCE for source in self.sources))
