"""The duties of a method, each checked on synthetic data and a scripted model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from rpobench.data.synth.world import generate
from rpobench.method.contract import Method
from rpobench.method.declaration import find_declaration_faults
from rpobench.registry import get_method, get_task
from rpobench.task.contract import Task
from rpobench.task.source_place import find_place, find_raising_place
from rpobench.testing.bench import Bench, FittedMethod
from rpobench.testing.findings import ContractError, Finding, expect
from rpobench.testing.wording import find_undeclared_words
from rpobench.types import Example, Labelled, Prediction, RpobenchError

TASKS = ("LaMP-2", "LaMP-3", "LaMP-7")  # a task of each kind
EXAMPLES = 4  # that are predicted
MANY_ITEMS = 500  # of the largest profile
TARGET_WORDS = 3  # of a text that does not come about by chance


def check_method(method: Method | type[Method] | str, tasks: Sequence[str] = TASKS) -> None:
    """Check that a method keeps its contract: the duties that `rpobench check-method` lists.

    Args:
        method: The method, not yet fitted; a class or the name of an entry point has its default knobs.
        tasks: Names of tasks; those that it does not apply to are passed over.

    Raises:
        ContractError: It breaks duties; the message has a line for each.
    """
    faults = [finding.fault for finding in examine_method(method, tasks) if finding.fault]
    if faults:
        raise ContractError("\n".join(dict.fromkeys(faults)))


def examine_method(method: Method | type[Method] | str, tasks: Sequence[str] = TASKS) -> Iterator[Finding]:
    """Examine a method.

    Args:
        method: The method, not yet fitted; a class or the name of an entry point has its default knobs.
        tasks: Names of tasks; those that it does not apply to are passed over.

    Yields:
        One finding a duty and task, as soon as it is known.
    """
    if isinstance(method, str):
        method = get_method(method)
    method_class = method if isinstance(method, type) else type(method)

    faults = find_declaration_faults(method_class)
    for fault in faults:
        yield Finding("declared as the contract says", fault=fault)
    if faults:
        return
    yield Finding("declared as the contract says")

    configured = method if isinstance(method, Method) else method_class(method_class.Config())
    usable_tasks = [task for task in map(get_task, tasks) if configured.applies_to(task)]
    if not usable_tasks:
        names = ", ".join(tasks)
        yield Finding("applies to a task", fault=_locate(configured, f"applies to none of {names}; name other tasks"))
    for task in usable_tasks:
        yield from _examine_on(configured, task)


def _examine_on(method: Method, task: Task) -> Iterator[Finding]:
    """Examine a method on one task; without a fit there is nothing else to examine."""
    with TemporaryDirectory() as folder:
        duties = MethodDuties(method, task, Path(folder))
        finding = _examine(method, task, "fits, saves and loads", duties.fit)
        yield finding
        if finding.fault:
            return

        for duty, check in duties.list_checks():
            yield _examine(method, task, duty, check)


def _examine(method: Method, task: Task, duty: str, check: Callable[[], None]) -> Finding:
    """Carry out one check; whatever it raises is the finding's fault."""
    try:
        check()
    except ContractError as error:
        return Finding(duty, task.name, _locate(method, f"on {task.name} {error}"))
    except RpobenchError as error:
        return Finding(duty, task.name, _with_place(method, task, str(error)))
    except Exception as error:  # noqa: BLE001  # the method is somebody else's code
        place = find_raising_place(error, type(method).__module__) or find_place(type(method))
        message = " ".join(str(error).split())
        return Finding(duty, task.name, f"{place}: '{method.name}' on {task.name}: {type(error).__name__}: {message}")
    return Finding(duty, task.name)


def _locate(method: Method, fault: str) -> str:
    return f"{find_place(type(method))}: '{method.name}' {fault}"


def _with_place(method: Method, task: Task, message: str) -> str:
    """The message, which has its place already where it is about the method's own lines."""
    has_place = message.startswith(find_place(type(method)).rpartition(":")[0])
    return message if has_place else _locate(method, f"on {task.name}: {message}")


class MethodDuties:
    """The duties of one method on one task.

    Args:
        method: The method, not fitted.
        task: The task.
        folder: An empty folder.
    """

    def __init__(self, method: Method, task: Task, folder: Path) -> None:
        self._method, self._task, self._folder = method, task, folder
        self._labelled = list(generate(task.name, "dev", EXAMPLES).labelled)
        self._examples = [labelled.example for labelled in self._labelled]

    def fit(self) -> None:
        """Fit, save and load a method, on which the other duties are checked."""
        self._bench, self._fitted = self._make_bench("first")
        self._predict = partial(self._bench.predict, _choose_answering(self._bench, self._fitted, self._examples))

    def list_checks(self) -> list[tuple[str, Callable[[], None]]]:
        """List the checks, each with its duty."""
        usual, *_, last = self._examples
        single = replace(usual, profile=usual.profile[:1])

        return [
            ("answers all examples", self._check_answers),
            ("answers a user without items", partial(self._check_profile, replace(usual, profile=()))),
            ("answers a user with one item", partial(self._check_profile, single)),
            (f"answers a user with {MANY_ITEMS} items", partial(self._check_profile, _multiply_items(last))),
            ("same answers in an equal run", self._check_repeatable),
            ("no state between calls", self._check_stateless),
            ("same answers once saved and loaded", self._check_loaded),
            ("prompts() holds its own words", self._check_prompts),
            ("retrievers() names what it asks", self._check_retrievers),
            ("no target within reach", self._check_targets),
        ]

    def _make_bench(self, name: str) -> tuple[Bench, FittedMethod]:
        folder = self._folder / name
        folder.mkdir()
        bench = Bench(self._method, self._task, folder)
        return bench, bench.fit()

    def _check_answers(self) -> None:
        """Keep the answers to the usual examples: the other checks compare with them."""
        self._predictions = self._predict(self._examples)
        for prediction, example in zip(_in_order(self._predictions, self._examples), self._examples, strict=True):
            _check_evidence(prediction, example)

    def _check_profile(self, example: Example) -> None:
        (prediction,) = self._predict([example])
        _check_evidence(prediction, example)

    def _check_repeatable(self) -> None:
        bench, fitted = self._make_bench("second")
        again = bench.predict(_choose_answering(bench, fitted, self._examples), self._examples)
        self._expect_same(
            again, "answers {id} otherwise in an equal run; draw lots by `context.seed` alone, and sort what is a set"
        )

    def _check_stateless(self) -> None:
        again = self._predict(self._examples)
        self._expect_same(again, "answers {id} otherwise the second time; keep nothing between calls of predict")

        one_by_one = []
        for example in reversed(self._examples):
            one_by_one += self._predict([example])
        self._expect_same(
            one_by_one, "answers {id} otherwise where other examples are asked with it; let each example stand alone"
        )

    def _check_loaded(self) -> None:
        advice = "let `save` write all that `fit` learned under its `path`, and `load` read it"
        try:
            loaded = self._bench.predict(self._fitted.loaded, self._examples)
        except Exception as error:
            message = " ".join(str(error).split())
            raise ContractError(f"cannot answer once saved and loaded ({message}); {advice}") from error
        self._expect_same(loaded, "answers {id} otherwise once saved and loaded; " + advice)

    def _check_prompts(self) -> None:
        words = find_undeclared_words(
            self._bench.model.chats,
            self._method.prompts([self._task]),
            self._task,
            self._examples,
            train=self._bench.train,
            evidence=self._bench.evidence.shown,
            replies=["answer"],
        )
        quoted = " ".join(words[:8])
        expect(
            not words,
            f"asks the model in words of its own ({quoted}) that `prompts()` does not return; return them there, "
            "so that other words are another run",
        )

    def _check_retrievers(self) -> None:
        unnamed = sorted(self._bench.evidence.retriever_names - set(self._method.retrievers()))
        expect(
            not unnamed,
            f"takes evidence from {', '.join(unnamed)}, which `retrievers()` does not name; return it there, so that "
            "data without dates is refused before anything runs",
        )

    def _check_targets(self) -> None:
        """Look for targets of texts in prompts and answers. Labels and ratings stand in every prompt."""
        texts = [message.content for chat in self._bench.model.chats for message in chat]
        texts += [prediction.text for prediction in self._predictions]
        for labelled in self._labelled:
            is_found = any(labelled.target in text for text in texts)
            expect(
                not (_is_telling(self._task, labelled) and is_found),
                f"holds the target of {labelled.example.id!r} in a prompt or an answer; "
                "predict must answer without reading targets",
            )

    def _expect_same(self, predictions: Sequence[Prediction], fault: str) -> None:
        """Raise a ContractError that names the first example with another answer than the first time."""
        for first, other in zip(
            _in_order(self._predictions, self._examples), _in_order(predictions, self._examples), strict=True
        ):
            expect(first.text == other.text, fault.format(id=repr(first.example_id)))


def _choose_answering(bench: Bench, fitted: FittedMethod, examples: Sequence[Example]) -> Method:
    """The method as `fit` left it where it answers so; a run asks the loaded one alone, so that need not be."""
    if not fitted.method.trains:
        return fitted.method

    try:
        bench.predict(fitted.method, examples)
    except Exception:  # noqa: BLE001  # what the loaded method raises is what counts
        return fitted.loaded
    return fitted.method


def _in_order(predictions: Sequence[Prediction], examples: Sequence[Example]) -> list[Prediction]:
    predictions_by_id = {prediction.example_id: prediction for prediction in predictions}
    return [predictions_by_id[example.id] for example in examples]


def _check_evidence(prediction: Prediction, example: Example) -> None:
    foreign = sorted(set(prediction.evidence) - {item.id for item in example.profile})
    expect(
        not foreign,
        f"names evidence {foreign} that is not in the profile of {example.id!r}; name the items that it read",
    )


def _is_telling(task: Task, labelled: Labelled) -> bool:
    """Whether a target is a text that only who read it would write."""
    return task.kind == "text" and len(labelled.target.split()) >= TARGET_WORDS


def _multiply_items(example: Example) -> Example:
    """The example with a profile of 500 items."""
    items = []
    for index in range(MANY_ITEMS):
        item = example.profile[index % len(example.profile)]
        items.append(replace(item, id=f"item-{index}"))
    return replace(example, profile=tuple(items))
