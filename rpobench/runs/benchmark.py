"""`rpobench run` as a function: every method of a plan on every task and seed.

A plan (`plan.py`) names methods, tasks and data; everything that it needs is loaded and checked before a model works
(`prepare.py`); the runs of a method follow each other, fitted together where tasks share a fit (`method_runs.py`);
and a runner fits, predicts, scores and saves each (`runner.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rpobench.models.protocol import LanguageModel, ModelChanged
from rpobench.models.served.launch import stop_server_afterwards
from rpobench.runs.again import Redo, finish_commit, redo
from rpobench.runs.broken_plugins import skip_broken_plugin
from rpobench.runs.estimate import Estimate, Estimator
from rpobench.runs.method_runs import MethodRuns
from rpobench.runs.plan import Plan
from rpobench.runs.prepare import prepare
from rpobench.runs.removal import put_rest_aside
from rpobench.runs.runner import Runner
from rpobench.runs.seeds import SEED_OF_ALL, serves_every_seed
from rpobench.runs.summary import RunSummary
from rpobench.store.processes import is_first, wait_for_all
from rpobench.store.result_store import ResultStore

MOST_CHANGES = 5  # of a served model's identity in one command: there are no more things that it may refuse


def run(plan: Plan) -> list[RunSummary]:
    """Run every method on every task and seed; what is finished is not done again.

    Args:
        plan: What to run.

    Returns:
        A summary of each run. Of several processes of one launch the further ones only take part in the fits, and
        return nothing.

    Raises:
        RpobenchError: Something cannot be done; what was finished stays.
    """
    for _ in range(MOST_CHANGES):
        try:
            return _run_once(plan)
        except ModelChanged as change:
            print(f"{change}; the runs begin anew under that name", file=sys.stderr)
    return _run_once(plan)


def _run_once(plan: Plan) -> list[RunSummary]:
    """Run the plan with its base model as it is known by now."""
    if is_first():
        put_rest_aside(ResultStore(plan.out))
        finish_commit(ResultStore(plan.out))
    wait_for_all()

    if not plan.again:
        return _carry_out(plan, *_prepare_runs(plan, ResultStore(plan.out)))

    with redo(ResultStore(plan.out)) as anew:
        base_model, method_runs = _prepare_runs(plan, anew.workshop)
        if is_first():
            anew.discard_outdated([runs.prepared_method.code for runs in method_runs])
        wait_for_all()

        summaries = _carry_out(plan, base_model, method_runs)
        if is_first():
            for runs in method_runs:
                with skip_broken_plugin(plan, runs.prepared_method.method):
                    runs.hand_over(anew)
            anew.commit()
        return summaries


def _carry_out(plan: Plan, base_model: LanguageModel, method_runs: Sequence[MethodRuns]) -> list[RunSummary]:
    """Make every run; in a further process of the launch only take part in the fits."""
    with stop_server_afterwards(base_model):
        if not is_first():
            for runs in method_runs:
                runs.join_fits()
            return []

        estimator, usable_runs = _estimate(plan, base_model, method_runs)
        print(estimator.estimate().describe(), file=sys.stderr)

        summaries: list[RunSummary] = []
        for runs in usable_runs:
            with skip_broken_plugin(plan, runs.prepared_method.method):
                summaries += runs.run_all()
        return summaries


def estimate(plan: Plan) -> Estimate:
    """Estimate what `run` would ask of the base model; nothing is asked.

    Args:
        plan: What to run.

    Returns:
        Calls, tokens and dollars.

    Raises:
        RpobenchError: The plan cannot be run.
    """
    return rehearse(plan).estimate()


def rehearse(plan: Plan) -> Estimator:
    """Rehearse what `run` would do with stand-ins for all models.

    Args:
        plan: What to run.

    Returns:
        What was counted; it also tells how long the work takes on this machine.

    Raises:
        RpobenchError: The plan cannot be run.
    """
    store = ResultStore(plan.out)
    base_model, method_runs = _prepare_runs(plan, Redo(store).workshop if plan.again else store)

    with stop_server_afterwards(base_model):
        return _estimate(plan, base_model, method_runs)[0]


def _prepare_runs(plan: Plan, store: ResultStore) -> tuple[LanguageModel, list[MethodRuns]]:
    preparation = prepare(plan)
    base_model = preparation.base_model

    method_runs = []
    draws_users = plan.chosen_preset.draws_users
    for position, plan_seed in enumerate(plan.chosen_seeds):
        for prepared_method in preparation.methods_by_seed[plan_seed]:
            is_for_all = serves_every_seed(prepared_method.method, plan.profiles)
            if is_for_all and position and not draws_users:
                continue  # the run of the first seed is that of all

            seed = SEED_OF_ALL if is_for_all else plan_seed
            runner = Runner(
                store,
                base_model,
                seed=seed,
                texts=plan.texts,
                limits=plan.refusal_limits,
                label=plan.label,
                code=prepared_method.code,
                free_tasks=[task for task, prepared in prepared_method.tasks.items() if prepared.scored.origin],
            )
            method_runs.append(MethodRuns(plan, runner, prepared_method, is_for_all))
    return base_model, method_runs


def _estimate(
    plan: Plan, base_model: LanguageModel, method_runs: Sequence[MethodRuns]
) -> tuple[Estimator, list[MethodRuns]]:
    """Estimate what the runs will ask of the base model, and say which of them can be made.

    Where the code of one changed since its results were made, nothing is.
    """
    estimator = Estimator(base_model)
    usable_runs = []
    for runs in method_runs:
        with skip_broken_plugin(plan, runs.prepared_method.method):
            runs.check_code()
            for work in runs.list_work():
                estimator.add(work)
            usable_runs.append(runs)

    return estimator, usable_runs
