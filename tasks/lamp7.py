"""LaMP-7: the tweet a user would have written."""

from __future__ import annotations

from collections.abc import Callable

from rpobench.api import PairedItems, ProfileItem, TextTask


class TweetParaphrase(PairedItems, TextTask):
    """Personalized tweet paraphrasing (LaMP, arXiv 2304.11406, section 2.2)."""

    name = "LaMP-7"
    version = "2"
    prompt_version = "1"
    noun = "tweet paraphrase"
    fields = ("text",)
    cut_field = "text"
    answer_field = "text"
    connector = " are written by a person. Following the given patterns "
    instruction = "Paraphrase the following tweet without any explanation before or after it: "
    max_new_tokens = 48

    def show(self, item: ProfileItem) -> str:
        return item.fields["text"]

    def pair(self, item: ProfileItem) -> tuple[str, str] | None:
        """Return the first fifth of a tweet as input and the rest as answer, since a tweet has no paraphrase.

        The source is arXiv 2409.09510, whose released code takes 10 to 25%.
        """
        words = item.fields["text"].split()
        split = max(1, len(words) // 5)

        beginning, rest = " ".join(words[:split]), " ".join(words[split:])

        return f"Continue this tweet: {beginning}", rest

    def wrap(self, item: ProfileItem) -> str:
        return f'"{item.fields["text"]}" '

    def evidence_tokens(self, encode: Callable[[str], list[int]]) -> int:
        """Count the words of the released code's arithmetic, which are not quite those of its prompt."""
        return 1 + len(encode("are written by user. Following the given patterns"))
