"""Throughput of local generation: rpobench's batches beside two bare `model.generate` loops, in one run.

    python benchmarks/generation_speed.py [--prompts 200] [--new 16] [--rounds 2]

The loops get the prompts ready-made as token ids and give back text, as `TransformersModel.generate` does with its own
templating and bookkeeping, and from the model as transformers loads it. `sorted` is batched best: by length, longest
first, the best of the batch sizes tried. `unsorted` takes 16 at a time in the order of arrival. Rounds alternate, and
each contestant's fastest round counts.
`cpu` is the share of the processor the process had meanwhile: where it is well below 100%, something else ran and the
ratios mean nothing.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from rpobench.models.local.batching import pad_left
from rpobench.models.local.embedded import open_embedded
from rpobench.models.local.loading import load_weights
from rpobench.models.local.transformers import TransformersModel
from rpobench.types import Chat, Decoding, Message

WORDS = ["a", "late", "train", "kettle", "bridge", "council", "votes", "reader", "learns", "taste", "film", "lamp"]
SORTED_BATCH_SIZES = (16, 32, 64)


def make_chats(count: int) -> list[Chat]:
    """Make chats of 5 to 300 words, most of them short, as profiles are."""
    rng = random.Random(0)
    lengths = [int(5 * 60 ** rng.random()) for _ in range(count)]
    return [(Message("user", "Paraphrase: " + " ".join(rng.choices(WORDS, k=length))),) for length in lengths]


def generate_barely(
    model: TransformersModel, weights: Any, prompts: Sequence[list[int]], size: int, new: int
) -> list[str]:
    """Do nothing but padding, `generate` and decoding, over the prompts in their order.

    Args:
        model: The local model, for its tokenizer.
        weights: The same model as transformers loads it.
        prompts: Token ids of each prompt.
        size: Prompts in a batch.
        new: Most new tokens of a prompt.

    Returns:
        The new texts, in order.
    """
    texts: list[str] = []
    for start in range(0, len(prompts), size):
        ids, mask = pad_left(prompts[start : start + size], model.tokenizer.pad_token_id)
        with torch.inference_mode():
            sequences = weights.generate(ids, attention_mask=mask, max_new_tokens=new, do_sample=False, pad_token_id=2)

        texts += model.tokenizer.batch_decode(sequences[:, ids.shape[1] :], skip_special_tokens=True)
    return texts


def measure(work: Callable[[], object]) -> tuple[float, float]:
    """Measure a piece of work.

    Args:
        work: What is measured.

    Returns:
        The seconds that it takes, and the share of torch's threads that had a processor meanwhile, in [0, 1].
    """
    wall_start, processor_start = time.perf_counter(), time.process_time()
    work()

    seconds = time.perf_counter() - wall_start
    processor_seconds = time.process_time() - processor_start
    return seconds, processor_seconds / seconds / torch.get_num_threads()


def tokenize(model: TransformersModel, chats: Sequence[Chat]) -> list[list[int]]:
    """Return the token ids of each chat, in the model's chat template."""
    prompts = []
    for (message,) in chats:
        template = [{"role": "user", "content": message.content}]
        prompts.append(model.tokenizer.apply_chat_template(template, return_dict=False, add_generation_prompt=True))
    return prompts


def make_contestants(
    model: TransformersModel, chats: Sequence[Chat], prompts: Sequence[list[int]], new: int
) -> dict[str, Callable[[], object]]:
    """Return the work of each contestant by its name.

    Args:
        model: The local model.
        chats: The prompts as rpobench takes them.
        prompts: The same as token ids, in the same order.
        new: Most new tokens of a prompt.

    Returns:
        Functions that answer all prompts.
    """
    longest_first = sorted(prompts, key=len, reverse=True)
    weights = load_weights(model.path, None, torch.float32).eval()

    contestants: dict[str, Callable[[], object]] = {"rpobench": lambda: model.generate(chats, Decoding(new))}
    for size in SORTED_BATCH_SIZES:
        contestants[f"sorted, {size}"] = lambda size=size: generate_barely(model, weights, longest_first, size, new)
    contestants["unsorted, 16"] = lambda: generate_barely(model, weights, prompts, 16, new)
    return contestants


def is_linear(module: torch.nn.Module) -> bool:
    """Say whether a module is a linear layer."""
    return isinstance(module, torch.nn.Linear)


def count_equal_texts(model: TransformersModel, chats: Sequence[Chat], prompts: Sequence[list[int]], new: int) -> int:
    """Count the prompts that rpobench and a bare loop, 16 at a time, give the same text."""
    weights = load_weights(model.path, None, torch.float32).eval()
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    bare_texts = generate_barely(model, weights, [prompts[index] for index in order], 16, new)

    completions = model.generate(chats, Decoding(new))
    return sum(completions[index].text.strip() == text.strip() for index, text in zip(order, bare_texts, strict=True))


def main() -> None:
    """Print seconds and both ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--new", type=int, default=16, help="most new tokens of a prompt")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()

    model, chats = open_embedded(), make_chats(arguments.prompts)
    prompts = tokenize(model, chats)
    contestants = make_contestants(model, chats, prompts, arguments.new)

    model.generate(chats[:8], Decoding(4))  # the first call of a process is slower than all others
    print("linear layers:", type(next(filter(is_linear, model.model.modules()))).__name__)
    rounds = [{name: measure(work) for name, work in contestants.items()} for _ in range(arguments.rounds)]
    best = {name: min(times[name] for times in rounds) for name in contestants}

    lengths = sorted(map(len, prompts))
    print(f"{arguments.prompts} prompts of {lengths[0]} to {lengths[-1]} tokens (median {lengths[len(lengths) // 2]})")
    for name, (seconds, share) in best.items():
        print(f"{name:>14}  {seconds:7.1f} s  {arguments.prompts / seconds:6.2f} prompts/s  cpu {share:.0%}")

    rpobench_seconds, unsorted_seconds = best["rpobench"][0], best["unsorted, 16"][0]
    sorted_seconds = min(seconds for name, (seconds, _) in best.items() if name.startswith("sorted"))
    print(f"against the best sorted loop: {sorted_seconds / rpobench_seconds:.2f}")
    print("(at least 1.4 with FastLinear, where torch's float32 products are slow; 0.95 elsewhere)")
    print(f"equal texts: {count_equal_texts(model, chats, prompts, arguments.new)} of {len(chats)}")
    print(f"against the unsorted loop:    {unsorted_seconds / rpobench_seconds:.2f} (at least 1.3)")


if __name__ == "__main__":
    main()
