"""`rpobench data`: look at official folders, and rankings and prompts for LaMP's own training scripts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rpobench.cli.download import build_lamp6, download
from rpobench.cli.synth import synth
from rpobench.data.official.folder import list_splits
from rpobench.data.official.questions import read_questions
from rpobench.registry import get_retriever, get_task, list_names
from rpobench.task.contract import Task
from rpobench.types import Example, RpobenchError

app = typer.Typer(
    name="data",
    help="Check and describe official LaMP folders; rank profiles and make prompts.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(synth)
app.command()(download)
app.command("build-lamp6")(build_lamp6)

Folder = Annotated[Path, typer.Argument(help="An official folder: it holds LaMP_3/dev_questions.json and the like.")]
OneTask = Annotated[str, typer.Option("--task", help="A task, such as LaMP-3.")]
SomeTasks = Annotated[str, typer.Option("--task", help="Names, comma-separated, or all that the folder holds.")]
Questions = Annotated[Path, typer.Option(help="An official questions file.")]
Ranker = Annotated[str, typer.Option(help="A retriever, such as bm25.")]
Out = Annotated[Path, typer.Option(help="The JSON file to write.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

STEP = 200  # examples between two moves of a progress bar


@app.command()
def check(folder: Folder, task: SomeTasks = "all", as_json: AsJson = False) -> None:
    """Name every defect with file and record; exit code 1 where one is an error."""
    from dataclasses import asdict

    from rpobench.data.official.defects import find_defects

    found = find_defects(folder, _tasks(task))
    if as_json:
        print(json.dumps([asdict(defect) for defect in found]))
    else:
        print("\n".join(map(str, found)) or "no defect")
    errors = sum(defect.level == "error" for defect in found)
    if errors:
        raise RpobenchError(f"{folder}: {errors} errors, {len(found) - errors} warnings")


@app.command()
def info(folder: Folder, task: SomeTasks = "all", as_json: AsJson = False) -> None:
    """Counts, users, profile sizes, dates, token lengths and label shares of every split."""
    from dataclasses import asdict

    from rpobench.data.official.split_statistics import describe_split
    from rpobench.evidence.reference_tokenizer import reference_tokenizer

    held = list_splits(_tasks(task), folder)
    found = [asdict(describe_split(one, folder, split, reference_tokenizer())) for one, split in held]
    if as_json:
        print(json.dumps(found))
    else:
        print("\n\n".join("\n".join(f"{name}: {_plain(value)}" for name, value in one.items()) for one in found))


@app.command()
def rank(task: OneTask, questions: Questions, out: Out, retriever: Ranker = "bm25") -> None:
    """Rank every item of each question's own profile: by question id, the item ids, best first."""
    _, examples, orders = _ranked(task, questions, retriever)
    ranks = {}
    for example, order in zip(_counted("rank", examples), orders, strict=True):
        ranks[example.id] = [example.profile[place].id for place in order]
    _write(out, ranks)


@app.command()
def prompts(
    task: OneTask,
    questions: Questions,
    out: Out,
    retriever: Ranker = "bm25",
    k: Annotated[int, typer.Option(min=0, help="Items shown; 0 gives the prompt without history.")] = 4,
    max_prompt_tokens: Annotated[
        int | None, typer.Option(min=1, help="Cut the items to fit, the official way; not cut by default.")
    ] = None,
) -> None:
    """The official prompt by question id, with the best k items of the question's own profile."""
    from rpobench.evidence.budget import fit_evidence
    from rpobench.evidence.reference_tokenizer import reference_tokenizer

    judge, examples, orders = _ranked(task, questions, retriever)
    texts = {}
    for example, order in zip(_counted("prompts", examples), orders, strict=True):
        items = tuple(example.profile[place] for place in order[:k])
        if max_prompt_tokens is not None and items:
            items = fit_evidence(judge, example, items, max_prompt_tokens, reference_tokenizer()).items
        texts[example.id] = judge.prompt(example, items)[0].content
    _write(out, texts)


def _ranked(task: str, questions: Path, retriever: str) -> tuple[Task, Sequence[Example], Sequence[Sequence[int]]]:
    """The task, its questions, and the order of each one's profile."""
    from rpobench.evidence.rankings import Rankings
    from rpobench.store.user_cache import cache_folder

    judge, ranker = get_task(task), get_retriever(retriever)  # a wrong name is told before a long file is read
    examples, _ = read_questions(judge, questions)
    with questions.open("rb") as file:
        data = hashlib.file_digest(file, "sha256").hexdigest()
    return judge, examples, Rankings(0, cache_folder() / "orders").rank_data_set(judge, examples, ranker, data)


def _counted(what: str, examples: Sequence[Example]) -> Iterator[Example]:
    from rpobench.terminal import show_progress

    with show_progress(what, len(examples)) as advance:
        for start in range(0, len(examples), STEP):
            chunk = examples[start : start + STEP]
            yield from chunk
            advance(len(chunk))


def _tasks(asked: str) -> list[Task]:
    return [get_task(name.strip()) for name in (list_names("tasks") if asked == "all" else asked.split(","))]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items())
    return "-" if value is None else str(value)


def _write(out: Path, content: dict[str, Any]) -> None:
    from rpobench.store.files import write_text

    write_text(out, json.dumps(content, ensure_ascii=False) + "\n")
