"""LaMP-5: the title a researcher gives a paper."""

from __future__ import annotations

from rpobench.kinds import PairedItems, TextTask
from rpobench.types import ProfileItem


class ScholarlyTitle(PairedItems, TextTask):
    """Personalized scholarly title generation (LaMP, arXiv 2304.11406, section 2.2)."""

    name = "LaMP-5"
    noun = "paper title"
    fields = ("title", "abstract")
    cut_field = "abstract"
    answer_field = "title"
    connector = ". Following the given patterns "
    instruction = "Generate a title for the following abstract of a paper: "

    def retrieval_text(self, item: ProfileItem) -> str:
        return f"{item.fields['title']} {item.fields['abstract']}"

    def wrap(self, item: ProfileItem) -> str:
        return f'"{item.fields["title"]}" is a title for "{item.fields["abstract"]}" '
