"""LaMP-2N: the earlier LaMP-2, the category of a news article. Not part of `all`."""

from __future__ import annotations

from rpobench.api import LabelTask, PairedItems, ProfileItem


class NewsCategorization(PairedItems, LabelTask):
    """Personalized news categorization (LaMP, arXiv 2304.11406, section 2.2)."""

    name = "LaMP-2N"
    version = "2"
    prompt_version = "1"
    noun = "news category"
    fields = ("text", "title", "category")
    cut_field = "text"
    answer_field = "category"
    labels = (
        "women", "religion", "politics", "style & beauty", "entertainment", "culture & arts", "sports",
        "science & technology", "travel", "business", "crime", "education", "healthy living", "parents", "food & drink",
    )  # fmt: skip
    instruction = (
        "Which category does this article relate to among the following categories? Just answer with the category name "
        f"without further explanation. categories: [{', '.join(labels)}] article: "
    )

    def retrieval_text(self, item: ProfileItem) -> str:
        return f"{item.fields['title']} {item.fields['text']}"

    def wrap(self, item: ProfileItem) -> str:
        return f'the category for the article: "{item.fields["text"]}" is "{item.fields["category"]}" '
