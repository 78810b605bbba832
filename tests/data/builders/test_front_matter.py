"""`data build front-matter`: headlines of articles, and titles of abstracts, from folders of markdown."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from git_history import Commit, make_repository, run_git
from people_history import read_questions, write_prose

from rpobench import get_task
from rpobench.data.builders.build import BuildOptions, build
from rpobench.data.builders.markdown import read_inline, read_markdown
from rpobench.data.official.built import BuiltSource
from rpobench.data.official.defects import find_defects

LETTERS = "abcdefghijklmnop"


def write_article(number: int, *, author: str = "author: Ada Byron", body: str = "", more: str = "") -> str:
    """An article of the day of its number."""
    head = f"title: 'The title: of {LETTERS[number]}'\ndate: 2020-01-{number + 1:02} 9:00:00 -0400\n{author}\n{more}"
    return f"---\n{head}---\n\n# The title: of {LETTERS[number]}\n\n{body or write_prose(LETTERS[number], 40)}\n"


def build_articles(tmp_path: Path, files: dict[str, str | bytes], *tasks: str) -> tuple[BuiltSource, Path]:
    clone = make_repository(tmp_path / "clone", [Commit("all of it", files=files)])
    return build("front-matter", [str(clone)], tmp_path / "data", BuildOptions(tasks=tasks)), tmp_path / "data"


def write_articles(count: int = 6, **options: str) -> dict[str, str | bytes]:
    return {f"news/{number}.md": write_article(number, **options) for number in range(count)}


def test_an_article_asks_for_its_headline(tmp_path: Path) -> None:
    _, out = build_articles(tmp_path, write_articles())

    latest = max(read_questions(out, "LaMP_4"), key=lambda question: len(question["profile"]))
    assert latest["input"] == f"{get_task('LaMP-4').instruction}{write_prose('f', 40)}"
    assert latest["target"] == "The title: of f" and latest["profile"][0]["date"] == "2020-01-01"
    assert find_defects(out, [get_task("LaMP-4")]) == []


def test_an_abstract_asks_for_its_title(tmp_path: Path) -> None:
    files = write_articles(6)
    for number in range(6):
        files[f"news/{number}.md"] = write_article(number, more=f"summary: {write_prose('s' + LETTERS[number], 15)}\n")
    _, out = build_articles(tmp_path, files, "LaMP-5")

    latest = max(read_questions(out, "LaMP_5"), key=lambda question: len(question["profile"]))
    assert latest["input"].endswith(write_prose("sf", 15)) and latest["target"] == "The title: of f"


@pytest.mark.parametrize(
    "author",
    [
        "author: Ada Byron",
        "authors: [Ada Byron]",
        "authors:\n  - Ada Byron",
        "author: {name: Ada Byron, email: ada@x.org}",
        "authors:\n  - name: Ada Byron",
        "author: Ada Byron and Bo Diddley",
        "Author: 'Ada  Byron; Bo Diddley'",
    ],
)
def test_authors_are_read_in_every_form(tmp_path: Path, author: str) -> None:
    files = write_articles(5)
    files["news/5.md"] = write_article(5, author=author)
    _, out = build_articles(tmp_path, files)

    assert len(read_questions(out, "LaMP_4")) == 2


def test_toml_and_dates_in_names_are_read(tmp_path: Path) -> None:
    files = write_articles(4)
    files["4.md"] = (
        f"+++\ntitle = 'The fifth title'\ndate = 2020-02-01\nauthor = 'Ada Byron'\n+++\n{write_prose('x', 40)}"
    )
    files["_posts/2020-03-01-sixth.markdown"] = (
        f"---\ntitle: The sixth title\nauthor: Ada Byron\n---\n{write_prose('y', 40)}"
    )
    _, out = build_articles(tmp_path, files)

    targets = [question["target"] for question in read_questions(out, "LaMP_4")]
    assert sorted(targets) == ["The fifth title", "The sixth title"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("# Just a page\n", "without front matter"),
        ("---\nauthor: Ada Byron\n---\n", "without a title"),
        ("---\ntitle: [a\n---\n", "front matter that cannot be read"),
        ("---\ntitle: x y\ndate: 2014-13-45\n---\n", "front matter that cannot be read"),
        ("+++\ntitle = \n+++\n", "front matter that cannot be read"),
        ("---\njust text\n---\n", "without front matter"),
        (write_article(9, author="nobody: 1"), "without an author"),
        (write_article(9, author="author: dependabot[bot]"), "bots"),
        (write_article(9, author="author: The Editorial Team"), "by offices"),
        (write_article(9, author="author: 18f-team"), "by offices"),
        (write_article(9, more="draft: true\n"), "drafts"),
        (write_article(9, body="Too few words."), "texts too short"),
        (write_article(9).replace("date: ", "day: "), "without a usable date"),
        (write_article(9).encode("utf-16"), "undecodable"),
    ],
)
def test_what_is_no_article_of_a_person_is_left_out_and_counted(
    tmp_path: Path, content: str | bytes, reason: str
) -> None:
    built, _ = build_articles(tmp_path, write_articles() | {"other.md": content})

    assert built.counts["LaMP-4"].left_out == {reason: 1}


def test_a_folder_inside_a_repository_is_read_alone_and_by_the_commit(tmp_path: Path) -> None:
    files = write_articles() | {f"events/{number}.md": write_article(number, body="x " * 50) for number in range(6, 12)}
    clone = make_repository(tmp_path / "clone", [Commit("all of it", files=files)])
    (clone / "news" / "0.md").write_text("changed in the work tree")
    (clone / "news" / "new.md").write_text(write_article(15))
    built = build("front-matter", [f"site={clone / 'news'}"], tmp_path / "data", BuildOptions())

    assert built.repositories[0].folder == "news/" and built.repositories[0].name == "site"
    assert built.counts["LaMP-4"].left_out == {}
    assert {question["target"] for question in read_questions(tmp_path / "data", "LaMP_4")} == {
        "The title: of e",
        "The title: of f",
    }


def test_a_shallow_clone_is_enough_for_files(tmp_path: Path) -> None:
    clone = make_repository(tmp_path / "clone", [Commit("begin"), Commit("all of it", files=write_articles())])
    run_git(tmp_path, "clone", "-q", "--depth", "1", f"file://{clone}", "shallow")

    built = build("front-matter", [str(tmp_path / "shallow")], tmp_path / "data", BuildOptions())
    assert sum(built.counts["LaMP-4"].questions.values()) == 2


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    clone = make_repository(tmp_path / "clone", [Commit("all of it", files=write_articles())])
    (clone / "link.md").symlink_to("/etc/passwd")
    run_git(clone, "add", "link.md")
    run_git(clone, "-c", "user.name=Bo", "-c", "user.email=bo@x.org", "commit", "-q", "-m", "a link")

    built = build("front-matter", [str(clone)], tmp_path / "data", BuildOptions())
    assert built.counts["LaMP-4"].left_out == {}


def test_markdown_is_read_as_prose() -> None:
    text = """\
# Heading

<!-- a comment -->Some *words* with [a link](http://x.org), `code`, &amp; {{< image "x.png" >}} an
image ![of it](x.png) and [another]({{< ref "/x" >}} "title") .

> quoted

- a point
- ada@x.org

```
x = 1
```

| a | b |
|---|---|
| c | d |

<div class="x">inside <b>tags</b></div>

<script>left()</script>
"""
    passages: Counter[str] = Counter()

    assert read_markdown(text, passages) == (
        "Some words with a link, code, & an image and another. a point inside tags"
    )
    assert passages == {"quoted code": 1, "mail addresses": 1}
    assert read_inline("The <i>New</i> *Thing* &#8217;s") == "The New Thing ’s"
