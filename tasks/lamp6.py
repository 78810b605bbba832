"""LaMP-6: the subject a sender gives an email (Avocado collection, licensed)."""

from __future__ import annotations

from rpobench.api import PairedItems, ProfileItem, TextTask


class EmailSubject(PairedItems, TextTask):
    """Personalized email subject generation (LaMP, arXiv 2304.11406, section 2.2)."""

    name = "LaMP-6"
    version = "2"
    prompt_version = "1"
    noun = "email subject"
    fields = ("title", "text")
    cut_field = "text"
    answer_field = "title"
    instruction = "Generate a subject for the following email: "
    max_new_tokens = 32
    licensed = True

    def wrap(self, item: ProfileItem) -> str:
        return f'"{item.fields["title"]}" is the title for "{item.fields["text"]}" '
