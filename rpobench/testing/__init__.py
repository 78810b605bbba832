"""Checks that a method, task, model or retriever keeps its contract: call them in your own tests.

    from rpobench.testing import check_method

    def test_my_method_keeps_its_contract():
        check_method("my-method", tasks=["LaMP-3", "LaMP-7"])

They use synthetic data and a scripted model, so they need no network and no weights. `rpobench check-method NAME` does
the same on the command line.
"""

from rpobench.testing.contract_checks import check_model, check_retriever, check_task
from rpobench.testing.findings import ContractError, Finding
from rpobench.testing.method_duties import check_method, examine_method

__all__ = [
    "ContractError",
    "Finding",
    "check_method",
    "check_model",
    "check_retriever",
    "check_task",
    "examine_method",
]
