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

READ, WRITTEN = 550, 100  # tokens a second on two slow cores: docs/budget.md


class Counter(ScriptedModel):
    """Writes to the limit, chooses the first option, and counts tokens; equal prompts of one `choose` run once."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(lambda chat: "", identity="counter")
        self._tokenizer = tokenizer
        self.read = self.written = 0

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """As many words as tokens are allowed."""
        completions, limit = [], decoding.max_new_tokens
        for chat in chats:
            prompt_tokens = self._length(chat)
            self.read += prompt_tokens
            self.written += limit
            completions.append(Completion("word " * limit, Usage(1, prompt_tokens, limit)))
        return completions

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """Reads prompt, options and the ends of their turns."""
        ends = sum(len(self._tokenizer.encode(option)) + 1 for option in options)
        reads = {chat: self._length(chat) + ends for chat in (*chats, *(neutral or ()))}
        self.read += sum(reads.values())

        twins = neutral or [()] * len(chats)
        reads[()] = 0
        return [
            Completion(options[0], Usage(1, reads[chat] + reads[twin])) for chat, twin in zip(chats, twins, strict=True)
        ]

    def _length(self, chat: Chat) -> int:
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
    counter = Counter(tokenizer)
    with patch("rpobench.runs.prepare.get_model", lambda spec: counter):
        summaries = rpobench.run(method, "all", limit=limit, out=out)

    costs: list[Usage] = []
    for summary in summaries:
        predictions = read_predictions(out / summary["run"] / "predictions.jsonl")
        costs += [prediction.usage for prediction in predictions.values()]
    return counter.read, counter.written, costs


def main() -> None:
    """Print one row a method."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--limit", type=int, default=32)
    limit = options.parse_args().limit
    tokenizer = AutoTokenizer.from_pretrained(fetch_checkpoint())
    totals = {"alone": 0.0, "together": 0.0}
    print("| method | calls | read | written | minutes alone | minutes together |\n|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for method in parse_method_names("untrained"):
            minutes = {}
            for name, out in (("alone", Path(folder) / method), ("together", Path(folder) / "together")):
                read_tokens, written_tokens, costs = run_method(method, limit, out, tokenizer)
                minutes[name] = (read_tokens / READ + written_tokens / WRITTEN) / 60
                totals[name] += minutes[name]

            total = sum(costs, Usage())
            means = [total.calls / len(costs), total.prompt_tokens / len(costs), total.completion_tokens / len(costs)]
            print(f"| `{method}` | {means[0]:.1f} | {means[1]:.0f} | {means[2]:.0f} | ", end="")
            print(f"{minutes['alone']:.1f} | {minutes['together']:.1f} |", flush=True)
    print(f"| all | | | | {totals['alone']:.1f} | {totals['together']:.1f} |")


if __name__ == "__main__":
    main()
