"""Asks which of two earlier proposals the next one of a person requires (LaMP-1)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from rpobench.data.builders.writing import Writing

QUESTION = (
    'For an author who has written the paper with the title "{title}", which reference is related? Just answer with '
    '[1] or [2] without explanation. [1]: "{first}" [2]: "{second}"'
)


class ReferenceAsker:
    """Asks which of two references a proposal requires.

    The wrong reference was required before, too, by another proposal: so a reference that is required often is as
    often wrong as right, and who knows only what is popular guesses.

    Args:
        writings: All proposals, the oldest first.
        owners: Who owns each of them, by key.
        salt: Decides, with the proposal, which references stand where.
    """

    def __init__(self, writings: Sequence[Writing], owners: Mapping[str, str], salt: str) -> None:
        self._writings = {writing.key: writing for writing in writings}
        self._owners = owners
        self._salt = salt

        # Every time that a proposal was required, in the order of the proposals that require it.
        self._requirements = []
        for writing in writings:
            for reference in self._list_references(writing):
                self._requirements.append((writing, reference))

    def ask(self, writing: Writing, owner: str) -> tuple[str, str] | None:
        """Return input and label; None where the proposal requires none that is older, or no other was required."""
        references = self._list_references(writing)
        wrong_references = self._list_wrong_references(writing, owner)
        if not references or not wrong_references:
            return None

        right = references[self._draw(writing, "right", len(references))]
        wrong = wrong_references[self._draw(writing, "wrong", len(wrong_references))]
        pair = (right, wrong) if self._draw(writing, "order", 2) == 0 else (wrong, right)

        titles = [proposal.title.replace('"', "'") for proposal in (writing, *pair)]
        question = QUESTION.format(title=titles[0], first=titles[1], second=titles[2])
        return question, f"[{pair.index(right) + 1}]"

    def is_answered_by(self, profile: Sequence[Writing], writing: Writing) -> bool:
        """Return False: a label stands in no profile. That people require what they wrote is there to be learned."""
        return False

    def _list_references(self, writing: Writing) -> list[Writing]:
        """List the older proposals that a proposal requires, by their keys."""
        references = []
        for key in sorted(set(writing.requires) & self._writings.keys()):
            if self._writings[key].time < writing.time:
                references.append(self._writings[key])
        return references

    def _list_wrong_references(self, writing: Writing, owner: str) -> list[Writing]:
        """List what proposals before this one required, and this one does not, once for every time."""
        wrong_references = []
        for citing, reference in self._requirements:
            is_own = self._owners.get(citing.key) == owner or self._owners.get(reference.key) == owner
            is_named = reference.key in writing.requires or reference.key == writing.key
            if citing.time < writing.time and not is_own and not is_named:
                wrong_references.append(reference)
        return wrong_references

    def _draw(self, writing: Writing, purpose: str, count: int) -> int:
        """Return a number below `count` that depends on the proposal alone."""
        digest = hashlib.sha256("\0".join((self._salt, purpose, writing.key)).encode()).digest()
        return int.from_bytes(digest[:8], "big") % count
