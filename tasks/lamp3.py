"""LaMP-3: the rating a user gives with a review."""

from __future__ import annotations

from rpobench.api import PairedItems, ProfileItem, RatingTask


class ProductRating(PairedItems, RatingTask):
    """Personalized product rating (LaMP, arXiv 2304.11406, section 2.2)."""

    name = "LaMP-3"
    version = "2"
    prompt_version = "1"
    noun = "product rating"
    fields = ("text", "score")
    cut_field = "text"
    answer_field = "score"
    instruction = (
        "What is the score of the following review on a scale of 1 to 5? "
        "just answer with 1, 2, 3, 4, or 5 without further explanation. review: "
    )

    def wrap(self, item: ProfileItem) -> str:
        return f'{item.fields["score"]} is the score for "{item.fields["text"]}" '
