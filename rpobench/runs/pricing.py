"""What a plan may spend: the price and budget of its base model, and the models that no budget covers."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rpobench.method.contract import Method
from rpobench.models.prices import Budget, Price, PricedModel, read_price
from rpobench.models.protocol import LanguageModel, innermost
from rpobench.registry import identify_models
from rpobench.runs.plan import Plan
from rpobench.types import RpobenchError

SERVED = ("openai:", "litellm:")  # how identities of models begin that cost money


def apply_price(model: LanguageModel, plan: Plan) -> LanguageModel:
    """Give a base model the plan's price and budget, where there is one.

    Args:
        model: The base model.
        plan: Its `price` and `max_cost` are read.

    Returns:
        The model, which counts dollars if a price is known.

    Raises:
        RpobenchError: --price is no price, or --max-cost has no price to count with.
    """
    price = read_price(plan.price, plan.base_model.partition("?")[0]) if plan.price else None
    if price is None:
        price = _find_list_price(model, plan)
    if price is None and plan.max_cost is not None:
        raise RpobenchError(f"--max-cost {plan.max_cost:g}: the price of {plan.base_model} is unknown; give --price")

    return model if price is None else PricedModel(model, price, Budget(plan.max_cost))


def _find_list_price(model: LanguageModel, plan: Plan) -> Price | None:
    """The price that the model's library knows, told on stderr; None where it knows none."""
    price: Price | None = getattr(innermost(model), "list_price", None)
    if price is not None:
        figures = f"${price.prompt:g} and ${price.completion:g} a million tokens read and written"
        print(f"{plan.base_model}: {figures}, says its library's list; --price goes before it", file=sys.stderr)

    return price


def report_uncounted_models(plan: Plan, methods: Sequence[Method]) -> None:
    """Tell on stderr which served models are asked beside the base model: they are neither estimated nor priced.

    Args:
        plan: Its `max_cost` is read.
        methods: The methods, which may ask a teacher, for example.

    Raises:
        RpobenchError: There is such a model, and --max-cost, which could not be kept.
    """
    for method in methods:
        for role, identity in identify_models(method).items():
            if not identity.startswith(SERVED):
                continue

            notice = f"{method.name} also asks its {role} {identity}, whose calls are not in the estimate"
            if plan.max_cost is not None:
                raise RpobenchError(f"--max-cost {plan.max_cost:g}: {notice} nor in the budget; leave --max-cost out")
            print(notice, file=sys.stderr)
