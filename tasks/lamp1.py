"""LaMP-1: which of two references does the author of this title cite?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rpobench.api import Example, LabelTask, ProfileItem, RpobenchError

TITLE_MARK = "title"


class CitationIdentification(LabelTask):
    """Personalized citation identification (LaMP, arXiv 2304.11406, section 2.2)."""

    name = "LaMP-1"
    version = "2"
    prompt_version = "1"
    noun = "related reference"
    fields = ("title", "abstract")
    cut_field = "title"
    labels = ("[1]", "[2]")
    instruction = "For an author who has written the paper with the "

    def content(self, example: Example) -> str:
        """Return the title and the references, without the question between them."""
        question = ", which reference is related? Just answer with [1] or [2] without explanation."

        return super().content(example).replace(question, "", 1)

    def check_example(self, example: Example, location: str) -> None:
        if TITLE_MARK not in example.input or len(self._quoted(example.input)) < 3:
            raise RpobenchError(f'{location}: the input must say "title" and quote a title and two references')

    def neutral(self, example: Example) -> Example:
        """Return the example with "N/A" in place of each title; the question around them stays."""
        text = example.input
        for quoted in self._quoted(text):
            text = text.replace(f'"{quoted}"', '"N/A"', 1)

        return Example(example.id, example.user_id, text, example.profile)

    def retrieval_query(self, example: Example) -> str:
        """Return the titles of both references."""
        _, first_reference, second_reference, *_ = self._quoted(example.input)

        return f"{first_reference} {second_reference}"

    def evidence_tokens(self, encode: Callable[[str], list[int]]) -> int:
        """Return 0: the items stand within the input."""
        return 0

    def retrieval_text(self, item: ProfileItem) -> str:
        return f"{item.fields['title']} {item.fields['abstract']}"

    def show(self, item: ProfileItem) -> str:
        return item.fields["title"]

    def wrap(self, item: ProfileItem) -> str:
        return f'"{item.fields["title"]}"'

    def with_evidence(self, input: str, evidence: Sequence[ProfileItem]) -> str:
        position = input.find(TITLE_MARK) + len(TITLE_MARK)
        titles = ", and ".join(map(self.wrap, evidence))

        return f"{input[:position]}, and {titles}{input[position:]}"

    def pair(self, item: ProfileItem) -> tuple[str, str] | None:
        """Return the title as input and the abstract as answer, since an item names no reference.

        The source is arXiv 2409.09510, released code.
        """
        return f'Write the abstract of the paper "{item.fields["title"]}".', item.fields["abstract"]

    @staticmethod
    def _quoted(text: str) -> list[str]:
        """What stands in quotes: the author's title, then both references."""
        return text.split('"')[1::2]
