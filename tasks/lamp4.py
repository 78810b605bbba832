"""LaMP-4: the headline an author gives an article."""

from __future__ import annotations

from rpobench.api import PairedItems, ProfileItem, TextTask


class NewsHeadline(PairedItems, TextTask):
    """Personalized news headline generation (LaMP, arXiv 2304.11406, section 2.2)."""

    name = "LaMP-4"
    version = "2"
    prompt_version = "1"
    noun = "news headline"
    fields = ("title", "text")
    cut_field = "text"
    answer_field = "title"
    instruction = "Generate a headline for the following article: "
    max_new_tokens = 32

    def retrieval_text(self, item: ProfileItem) -> str:
        return f"{item.fields['title']} {item.fields['text']}"

    def wrap(self, item: ProfileItem) -> str:
        return f'"{item.fields["title"]}" is the title for "{item.fields["text"]}" '
