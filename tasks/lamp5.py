"""LaMP-5: the title a researcher gives a paper."""

from __future__ import annotations

from collections.abc import Callable

from rpobench.api import PairedItems, ProfileItem, TextTask


class ScholarlyTitle(PairedItems, TextTask):
    """Personalized scholarly title generation (LaMP, arXiv 2304.11406, section 2.2)."""

    name = "LaMP-5"
    version = "2"
    prompt_version = "1"
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

    def item_tokens(self, item: ProfileItem, encode: Callable[[str], list[int]]) -> int:
        """Count the words around an abstract, as the released code does: without the "for" that its prompt has."""
        return len(encode(f'"{item.fields["title"]}" is a title " " '))

    def evidence_tokens(self, encode: Callable[[str], list[int]]) -> int:
        return 1 + len(encode("Following the given patterns"))
