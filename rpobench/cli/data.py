"""`rpobench data`: look at official folders, and rankings and prompts for LaMP's own training scripts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from rpobench.cli.data_build import build_data
from rpobench.cli.download import build_lamp6, download
from rpobench.cli.options import AsJson
from rpobench.cli.synth import synth
from rpobench.data.official.folder import list_splits
from rpobench.data.official.questions import read_questions
from rpobench.registry import get_retriever, get_task, list_names
from rpobench.task.contract import Task
from rpobench.types import Example, ProfileItem, RpobenchError

app = typer.Typer(
    name="data",
    help="Check and describe official LaMP folders; rank profiles and make prompts.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(synth)
app.command()(download)
app.command("build")(build_data)
app.command("build-lamp6")(build_lamp6)

Folder = Annotated[Path, typer.Argument(help="An official folder: it holds LaMP_3/dev_questions.json and the like.")]
OneTask = Annotated[str, typer.Option("--task", help="A task, such as LaMP-3.")]
SomeTasks = Annotated[str, typer.Option("--task", help="Names, comma-separated, or all that the folder holds.")]
Questions = Annotated[Path, typer.Option(help="An official questions file.")]
RetrieverName = Annotated[str, typer.Option(help="A retriever, such as bm25.")]
Out = Annotated[Path, typer.Option(help="The JSON file to write.")]

PROGRESS_STEP = 200  # examples between two moves of a progress bar


@app.command("check")
def check_folder(
    folder: Folder,
    task: SomeTasks = "all",
    every: Annotated[bool, typer.Option("--all", help="A line for every warning, also for those alike.")] = False,
    as_json: AsJson = False,
) -> None:
    """Name every defect with file and record, then the totals; exit code 1 where one is an error."""
    from rpobench.cli.data_screens import count_defects, list_defect_lines
    from rpobench.data.official.defects import find_defects

    defects = find_defects(folder, _parse_tasks(task))
    if as_json:
        print(json.dumps([asdict(defect) for defect in defects]))
    else:
        print("\n".join(list_defect_lines(defects, fold=not every)) if defects else "no defect")

    if any(defect.level == "error" for defect in defects):
        raise RpobenchError(f"{folder}: {count_defects(defects)}")


@app.command("info")
def describe_folder(folder: Folder, task: SomeTasks = "all", as_json: AsJson = False) -> None:
    """Counts, users, profile sizes, dates, token lengths and label shares of every split."""
    from rpobench.cli.data_screens import print_statistics
    from rpobench.data.official.split_statistics import describe_split
    from rpobench.evidence.reference_tokenizer import reference_tokenizer

    splits = []
    for split_task, split in list_splits(_parse_tasks(task), folder):
        splits.append(describe_split(split_task, folder, split, reference_tokenizer()))

    if as_json:
        print(json.dumps([asdict(split) for split in splits]))
    else:
        print_statistics(splits)


@app.command("rank")
def rank_profiles(task: OneTask, questions: Questions, out: Out, retriever: RetrieverName = "bm25") -> None:
    """Rank every item of each question's own profile: by question id, the item ids, best first."""
    ranked_questions = _rank_questions(task, questions, retriever)

    item_ids = {}
    for example, items in ranked_questions.iterate("rank"):
        item_ids[example.id] = [item.id for item in items]
    _write_json(out, item_ids)


@app.command("prompts")
def write_prompts(
    task: OneTask,
    questions: Questions,
    out: Out,
    retriever: RetrieverName = "bm25",
    k: Annotated[int, typer.Option(min=0, help="Items shown; 0 gives the prompt without history.")] = 4,
    max_prompt_tokens: Annotated[
        int | None, typer.Option(min=1, help="Cut the items to fit, the official way; not cut by default.")
    ] = None,
) -> None:
    """The official prompt by question id, with the best k items of the question's own profile."""
    from rpobench.evidence.budget import fit_evidence
    from rpobench.evidence.reference_tokenizer import reference_tokenizer

    ranked_questions = _rank_questions(task, questions, retriever)

    prompts = {}
    for example, items in ranked_questions.iterate("prompts"):
        evidence = items[:k]
        if max_prompt_tokens is not None and evidence:
            tokenizer = reference_tokenizer()
            fitted = fit_evidence(ranked_questions.task, example, evidence, max_prompt_tokens, tokenizer)
            evidence = fitted.items
        prompts[example.id] = ranked_questions.task.prompt(example, evidence)[0].content
    _write_json(out, prompts)


@dataclass(frozen=True)
class RankedQuestions:
    """The questions of a file, each with the ranking of its own profile.

    Attributes:
        task: The task.
        examples: The questions in file order.
        rankings: For each question the indices of its profile's items, best first.
    """

    task: Task
    examples: Sequence[Example]
    rankings: Sequence[Sequence[int]]

    def iterate(self, description: str) -> Iterator[tuple[Example, tuple[ProfileItem, ...]]]:
        """Iterate over the questions and show on stderr how far the caller has come.

        Args:
            description: What the step is called.

        Yields:
            Each question with all items of its profile, best first.
        """
        from rpobench.terminal import show_progress

        with show_progress(description, len(self.examples)) as advance:
            for start in range(0, len(self.examples), PROGRESS_STEP):
                indices = range(start, min(start + PROGRESS_STEP, len(self.examples)))
                for index in indices:
                    example = self.examples[index]
                    yield example, tuple(example.profile[item] for item in self.rankings[index])
                advance(len(indices))


def _rank_questions(task_name: str, questions: Path, retriever_name: str) -> RankedQuestions:
    from rpobench.evidence.rankings import Rankings
    from rpobench.store.user_cache import cache_folder

    # First, so that a wrong name is reported before a long file is read.
    task = get_task(task_name)
    retriever = get_retriever(retriever_name)

    examples, _ = read_questions(task, questions)
    with questions.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()

    rankings = Rankings(0, cache_folder() / "orders").rank_data_set(task, examples, retriever, digest)
    return RankedQuestions(task, examples, rankings)


def _parse_tasks(text: str) -> list[Task]:
    names = list_names("tasks") if text == "all" else text.split(",")
    return [get_task(name.strip()) for name in names]


def _write_json(out: Path, content: dict[str, Any]) -> None:
    from rpobench.store.files import write_text

    write_text(out, json.dumps(content, ensure_ascii=False) + "\n")
