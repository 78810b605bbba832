"""LaMP-2: the tag a user gives a movie."""

from __future__ import annotations

from rpobench.api import LabelTask, PairedItems, ProfileItem


class MovieTagging(PairedItems, LabelTask):
    """Personalized movie tagging (LaMP, arXiv 2304.11406, section 2.2)."""

    name = "LaMP-2"
    version = "2"
    prompt_version = "1"
    noun = "movie tag"
    fields = ("description", "tag")
    cut_field = "description"
    answer_field = "tag"
    labels = (
        "sci-fi", "based on a book", "comedy", "action", "twist ending", "dystopia", "dark comedy", "classic",
        "psychology", "fantasy", "romance", "thought-provoking", "social commentary", "violence", "true story",
    )  # fmt: skip
    instruction = (
        "Which tag does this movie relate to among the following tags? Just answer with the tag name without further "
        f"explanation. tags: [{', '.join(labels)}] description: "
    )

    def wrap(self, item: ProfileItem) -> str:
        return f'the tag for the movie: "{item.fields["description"]}" is "{item.fields["tag"]}" '
