"""What `rpobench run --method untrained --task all` asks of the base model, counted without running it.

    python benchmarks/untrained_token_counts.py [--limit 32]

A model that writes as many tokens as it may stands in for SmolLM2; prompts are counted by SmolLM2's own tokenizer and
chat template, so the figures are upper bounds of what the real one reads and writes. Minutes are planned with the rates
of docs/budget.md. "Alone" gives each method a folder of its own, "together" one folder shares drafts and summaries.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

from transformers import AutoTokenizer

import rpobench
from rpobench.models.local.embedded import fetch_checkpoint
from rpobench.models.scripted import ScriptedModel
from rpobench.runs.plan import parse_method_names
from rpobench.store.predictions import read_predictions
from rpobench.types import Chat, Completion, Decoding, Usage

READ_RATE, WRITE_RATE = 550, 100  # tokens a second on two slow cores: docs/budget.md


class CountingModel(ScriptedModel):
    """Writes to the limit, chooses the first option, and counts tokens; equal prompts of one `choose` run once.

    Attributes:
        read_tokens: Tokens that it read so far.
        written_tokens: Tokens that it wrote so far.
    """

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(lambda chat: "", identity="counter")
        self._tokenizer = tokenizer
        self.read_tokens = self.written_tokens = 0

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """Write as many words as tokens are allowed."""
        completions, limit = [], decoding.max_new_tokens
        for chat in chats:
            prompt_tokens = self._count_tokens(chat)
            self.read_tokens += prompt_tokens
            self.written_tokens += limit
            completions.append(Completion("word " * limit, Usage(1, prompt_tokens, limit)))
        return completions

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """Choose the first option; read prompt, options and the ends of their turns."""
        option_tokens = sum(len(self._tokenizer.encode(option)) + 1 for option in options)
        tokens_by_chat: dict[Chat, int] = {}
        for chat in (*chats, *(neutral or ())):
            tokens_by_chat[chat] = self._count_tokens(chat) + option_tokens
        self.read_tokens += sum(tokens_by_chat.values())

        completions = []
        for index, chat in enumerate(chats):
            neutral_tokens = tokens_by_chat[neutral[index]] if neutral else 0
            completions.append(Completion(options[0], Usage(1, tokens_by_chat[chat] + neutral_tokens)))
        return completions

    def _count_tokens(self, chat: Chat) -> int:
        messages = [{"role": message.role, "content": message.content} for message in chat]
        return len(
            self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True)["input_ids"]
        )


def run_method(method: str, limit: int, out: Path, tokenizer: Any) -> tuple[int, int, list[Usage]]:
    """Run one method on all tasks with its control.

    Args:
        method: The method's name.
        limit: Examples of a task.
        out: The folder of the runs.
        tokenizer: Counts the tokens of the prompts.

    Returns:
        Tokens read, tokens written, and the cost of each own prediction.
    """
    model = CountingModel(tokenizer)
    with patch("rpobench.runs.prepare.get_model", lambda spec: model):
        summaries = rpobench.run(method, "all", limit=limit, out=out)

    costs: list[Usage] = []
    for summary in summaries:
        predictions = read_predictions(out / summary["run"] / "predictions.jsonl")
        costs += [prediction.usage for prediction in predictions.values()]
    return model.read_tokens, model.written_tokens, costs


def print_row(method: str, costs: list[Usage], minutes: dict[str, float]) -> None:
    """Print a method's row: means of an example, and the planned minutes in both kinds of folder."""
    total = sum(costs, Usage())
    calls, prompt_tokens = total.calls / len(costs), total.prompt_tokens / len(costs)
    completion_tokens = total.completion_tokens / len(costs)

    print(f"| `{method}` | {calls:.1f} | {prompt_tokens:.0f} | {completion_tokens:.0f} | ", end="")
    print(f"{minutes['alone']:.1f} | {minutes['together']:.1f} |", flush=True)


def main() -> None:
    """Print a row for each method, and the minutes of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=32, help="examples of a task")
    limit = parser.parse_args().limit

    tokenizer = AutoTokenizer.from_pretrained(fetch_checkpoint())
    totals = {"alone": 0.0, "together": 0.0}
    print("| method | calls | read | written | minutes alone | minutes together |\n|---|---:|---:|---:|---:|---:|")

    with tempfile.TemporaryDirectory() as folder:
        for method in parse_method_names("untrained"):
            minutes = {}
            for kind, out in (("alone", Path(folder) / method), ("together", Path(folder) / "together")):
                read_tokens, written_tokens, costs = run_method(method, limit, out, tokenizer)
                minutes[kind] = (read_tokens / READ_RATE + written_tokens / WRITE_RATE) / 60
                totals[kind] += minutes[kind]
            print_row(method, costs, minutes)

    print(f"| all | | | | {totals['alone']:.1f} | {totals['together']:.1f} |")


if __name__ == "__main__":
    main()
