"""What a method must declare, and what it must yield: each mistake is one line with file and line and what to do."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydantic import BaseModel, ValidationError

from rpobench.method.config import MethodConfig
from rpobench.method.contract import Method
from rpobench.task.source_place import find_place, find_raising_place
from rpobench.types import Example, Prediction, RpobenchError

OWN_PACKAGE = "rpobench."  # before the modules of the built-ins


class BrokenMethod(RpobenchError):
    """A method does not keep its contract: its author must change it."""


def find_declaration_faults(declared: object, entry_point: str | None = None) -> list[str]:
    """Find what is wrong with a class that is to be a method.

    Args:
        declared: What stands behind the entry point.
        entry_point: The name under which it is declared; None where it is declared nowhere.

    Returns:
        One line a mistake, with file and line and what to do.
    """
    if not (inspect.isclass(declared) and issubclass(declared, Method)):
        label = getattr(declared, "__name__", repr(declared))
        return [f"{find_place(declared)}: {label} is no Method; write `class {label}(Method)`, from rpobench.api"]

    return [
        *_find_missing_members(declared),
        *_find_wrong_name(declared, entry_point),
        *_find_wrong_config(declared),
        *_find_wrong_training(declared),
    ]


def check_declaration(declared: object, entry_point: str | None = None) -> None:
    """Check a class that is to be a method.

    Args:
        declared: What stands behind the entry point.
        entry_point: The name under which it is declared; None where it is declared nowhere.

    Raises:
        BrokenMethod: It is none, or it forgets something; the message names the first mistake.
    """
    for fault in find_declaration_faults(declared, entry_point):
        raise BrokenMethod(fault)


def check_predictions(method: Method, examples: Sequence[Example], predictions: object) -> list[Prediction]:
    """Check that there is one prediction for each example.

    Args:
        method: What predicted.
        examples: What was asked.
        predictions: What `predict` returned.

    Returns:
        The predictions.

    Raises:
        BrokenMethod: They are something else than predictions, or some are missing, double or of other examples.
    """
    checked_predictions = collect_predictions(method, predictions)
    _check_ids(method, examples, checked_predictions)
    return checked_predictions


def collect_predictions(method: Method, predictions: object) -> list[Prediction]:
    """Take what a method yields, and check that it is predictions.

    Args:
        method: What predicted.
        predictions: What `predict` returned.

    Returns:
        The predictions.

    Raises:
        BrokenMethod: They are something else.
    """
    place = find_place(type(method).predict)
    if predictions is None or isinstance(predictions, str | bytes) or not hasattr(predictions, "__iter__"):
        raise BrokenMethod(
            f"{place}: predict of '{method.name}' returns {_describe(predictions)}; yield a Prediction for each example"
        )

    checked_predictions = []
    for prediction in predictions:
        if not isinstance(prediction, Prediction):
            raise BrokenMethod(
                f"{place}: predict of '{method.name}' yields {_describe(prediction)} in place of a Prediction; "
                "yield Prediction(example.id, text, raw)"
            )
        if not isinstance(prediction.text, str):
            raise BrokenMethod(
                f"{place}: predict of '{method.name}' answers {prediction.example_id!r} with "
                f"{_describe(prediction.text)}; make it a text"
            )
        checked_predictions.append(prediction)

    return checked_predictions


@contextmanager
def name_plugin_fault(method: Method) -> Iterator[None]:
    """Turn an error inside the code of somebody else's method into one line with its place.

    Args:
        method: The method that works inside the `with` block.

    Raises:
        BrokenMethod: Its code raised something that is no RpobenchError.
    """
    try:
        yield
    except (RpobenchError, OSError):
        raise
    except Exception as error:
        module_name = type(method).__module__
        place = find_raising_place(error, module_name)
        if place is None or module_name.startswith(OWN_PACKAGE):
            raise
        message = " ".join(str(error).split())
        raise BrokenMethod(
            f"{place}: {type(error).__name__}: {message}; correct the method '{method.name}' (--debug: traceback)"
        ) from error


def _find_missing_members(method_class: type[Method]) -> Iterator[str]:
    for member in sorted(method_class.__abstractmethods__):
        yield (
            f"{find_place(method_class)}: {method_class.__name__} has no `{member}`; "
            f"write `def {member}(self, task, examples, context)`, which yields a Prediction for each example"
        )


def _find_wrong_name(method_class: type[Method], entry_point: str | None) -> Iterator[str]:
    place = find_place(method_class)
    name = getattr(method_class, "name", None)

    if not isinstance(name, str) or not name:
        yield f'{place}: {method_class.__name__} has no `name`; write `name = "{entry_point or "my-method"}"`'
    elif entry_point is not None and name != entry_point:
        yield (
            f"{place}: {method_class.__name__} calls itself '{name}' and its entry point calls it '{entry_point}'; "
            "give both one name, then install the package again"
        )


def _find_wrong_config(method_class: type[Method]) -> Iterator[str]:
    config_class: object = method_class.Config
    place = find_place(config_class if inspect.isclass(config_class) else method_class)

    if not (inspect.isclass(config_class) and issubclass(config_class, MethodConfig)):
        yield f"{place}: Config of {method_class.__name__} is no MethodConfig; write `class Config(Method.Config)`"
        return

    for knob, field in config_class.model_fields.items():
        if field.is_required():
            yield f"{place}: knob '{knob}' of {method_class.__name__} has no default; give it one"
    yield from _find_wrong_defaults(method_class, config_class)


def _find_wrong_defaults(method_class: type[Method], config_class: type[BaseModel]) -> Iterator[str]:
    try:
        config_class()
    except ValidationError as error:
        for fault in error.errors():
            if fault["type"] != "missing":
                knob = ".".join(map(str, fault["loc"]))
                yield f"{find_place(config_class)}: knob '{knob}' of {method_class.__name__}: {fault['msg']}"


def _find_wrong_training(method_class: type[Method]) -> Iterator[str]:
    place, label = find_place(method_class), method_class.__name__
    has_fit = method_class.fit is not Method.fit

    # A subclass may switch off what an ancestor learns; who writes `fit` wants it to be called.
    switches_off = _find_definer(method_class, "trains") < _find_definer(method_class, "fit")
    if has_fit and not method_class.trains and not switches_off:
        yield f"{place}: {label} has `fit`, but nothing says that it trains; write `trains = True`"
    if not method_class.trains:
        return

    if not has_fit:
        yield f"{place}: {label} trains, but has no `fit`; write `def fit(self, train, context)`"
    if method_class.save is Method.save:
        yield f"{place}: {label} trains, but has no `save`; write `def save(self, path)`, or what it learned is lost"
    if getattr(method_class.load, "__func__", None) is Method.load.__func__:  # type: ignore[attr-defined]
        yield (
            f"{place}: {label} trains, but has no `load`; "
            "write `@classmethod def load(cls, path, config)`, which reads what `save` wrote"
        )


def _find_definer(method_class: type[Method], member: str) -> int:
    """The place of the class that defines a member among the class's ancestors, itself first."""
    return next(index for index, ancestor in enumerate(method_class.__mro__) if member in vars(ancestor))


def _check_ids(method: Method, examples: Sequence[Example], predictions: Sequence[Prediction]) -> None:
    """Check that each example has one prediction, and that there are no others."""
    counts = Counter(prediction.example_id for prediction in predictions)
    expected_ids = [example.id for example in examples]

    reasons = []
    for example_id in expected_ids:
        if counts[example_id] != 1:
            reasons.append(f"{counts[example_id]} for example {example_id!r}")
    reasons += [f"one for {example_id!r}, which was not asked" for example_id in counts.keys() - set(expected_ids)]

    if reasons:
        place = find_place(type(method).predict)
        raise BrokenMethod(
            f"{place}: method {method.name}: {len(predictions)} predictions for {len(examples)} examples, "
            f"{reasons[0]}; predict must yield one for each"
        )


def _describe(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {str(value)[:40]!r}"
