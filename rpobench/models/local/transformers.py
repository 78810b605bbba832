"""Local causal chat models through transformers: generation, choice and likelihood in length-sorted batches."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpobench.models.completions import read_words
from rpobench.models.local.adapter_base import require_same_base
from rpobench.models.local.batching import TokenBudget
from rpobench.models.local.chat_tokens import ChatEncoder, OpenChat, split_spaces
from rpobench.models.local.checkpoints import (
    adapter_sha256,
    checkpoint_sha256,
    find_checkpoint,
    require_adapter,
    require_weights,
)
from rpobench.models.local.loading import load_tokenizer, load_weights
from rpobench.models.local.options import parse_local_options
from rpobench.models.local.thinker import Thinker
from rpobench.models.protocol import PromptTooLong
from rpobench.store.identity import identify_folder
from rpobench.types import Chat, Completion, Decoding, RpobenchError, Usage

if TYPE_CHECKING:
    import torch

CHOICE_TOKENS = 32  # room for a label, and for the words that some models put around it, behind the thinking


def open_checkpoint(argument: str, think_tokens: int | None = None) -> TransformersModel:
    """The model of a spec `hf:ARGUMENT`.

    Args:
        argument: `ORG/NAME[@REV]` on the hub or a folder, with options after `?`: dtype, device, adapter, system,
            choose, think_tokens.
        think_tokens: The option of that name, where the argument does not have it.

    Returns:
        The model; its weights are loaded on first use.

    Raises:
        RpobenchError: It cannot be found, holds no safetensors, or an option is wrong.
    """
    location, _, query = argument.partition("?")
    options = parse_local_options(query, f"hf:{argument}", think_tokens=think_tokens)

    checkpoint = find_checkpoint(location)
    return TransformersModel(checkpoint.path, name=checkpoint.name, revision=checkpoint.revision, **options)


@dataclass(frozen=True)
class OptionScores:
    """The score of each option after one chat, and how many tokens were read for all of them."""

    values: list[float]
    tokens: int

    def calibrated_by(self, neutral: OptionScores) -> OptionScores:
        """These scores less those after the content-free chat."""
        differences = [value - base for value, base in zip(self.values, neutral.values, strict=True)]
        return OptionScores(differences, self.tokens + neutral.tokens)


class TransformersModel:
    """A causal chat model from a folder of safetensors, with or without a LoRA adapter (merged on loading).

    Weights and tokenizer are loaded on first use. In float32 greedy text is the same whatever the batch: the sums of a
    matrix product may be taken in another order for another batch size, which moves a logit by about 1e-5, so only two
    tokens closer than that could swap. In bfloat16 the distance is about 1e-2, which real text does meet.

    Args:
        path: The checkpoint's folder.
        adapter: The folder of a LoRA adapter.
        dtype: auto, float32, bfloat16 or float16. Auto is bfloat16 on CUDA and float32 on a CPU.
        device: auto, cpu, cuda, cuda:N or mps.
        name: The name in the identity; the folder's name unless given.
        revision: The revision in the identity; sha256 of the folder's files unless given.
        system: A prompt before every chat that has no system message of its own.
        choose: calibrated or raw. Raw leaves content-free chats out of account, and says so in the identity.
        think_tokens: How many tokens the model may think before each answer, beside those of the answer; 0 asks it not
            to think.
        aliases: Other names under which adapters may know the model.
        budget: How much goes into one batch.

    Raises:
        RpobenchError: The folder holds no safetensors (pickle is refused) or has no chat template, the device is wrong,
            a prompt is beyond the model's context, or one prompt alone beyond the memory.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        adapter: Path | None = None,
        dtype: str = "auto",
        device: str = "auto",
        name: str | None = None,
        revision: str | None = None,
        system: str | None = None,
        choose: str = "calibrated",
        think_tokens: int = 0,
        aliases: Sequence[str] = (),
        budget: TokenBudget | None = None,
    ) -> None:
        self.path, self.adapter = Path(path), adapter
        self.name = name or self.path.resolve().name
        self.budget = budget or TokenBudget()

        self._dtype, self._device = dtype, device
        self._revision, self._system = revision, system
        self._is_raw = choose == "raw"
        self._think_tokens = think_tokens

        require_weights(self.path, "a model's safetensors")
        if adapter:
            require_adapter(adapter)
            require_same_base(adapter, self.path, self.name, aliases)

    @cached_property
    def identity(self) -> str:
        """name@revision and every other thing that changes the text: dtype, chat template, adapter, system prompt ...

        What another version of this library did not know is a part only where it is not as it was.
        """
        template = json.dumps(self.tokenizer.chat_template, sort_keys=True)
        parts = [
            self._name_with_revision(),
            str(self.dtype).removeprefix("torch."),
            f"template:{hashlib.sha256(template.encode()).hexdigest()[:12]}",
        ]

        if self.adapter:
            parts.append(f"adapter:{adapter_sha256(self.adapter)}")
        if self._system:
            is_folded = ":folded" if self.encoder.folds_system else ""
            parts.append(f"system:{hashlib.sha256(self._system.encode()).hexdigest()[:12]}{is_folded}")
        if self._is_raw:
            parts.append("choose:raw")
        if self._think_tokens:
            parts += [f"think_tokens:{self._think_tokens}", "choose:generated"]
        elif self.encoder.closes_thinking:
            parts.append("thinking:closed")
        return "+".join(parts)

    def _name_with_revision(self) -> str:
        if self._revision:
            return f"{self.name}@{self._revision}"
        return identify_folder(self.name, checkpoint_sha256(self.path))

    @cached_property
    def device(self) -> torch.device:
        """Where the model runs."""
        import torch

        if self._device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")

        try:
            device = torch.device(self._device)
            torch.zeros(1, device=device).item()  # `meta` holds no numbers
        except (RuntimeError, AssertionError) as error:
            raise RpobenchError(f"{self.name}: device '{self._device}' is not usable here; try device=auto") from error
        return device

    @cached_property
    def dtype(self) -> torch.dtype:
        """The type of the weights, and so of the arithmetic."""
        import torch

        if self._dtype == "auto":
            return torch.bfloat16 if self.device.type == "cuda" else torch.float32
        dtype: torch.dtype = getattr(torch, self._dtype)
        return dtype

    @cached_property
    def tokenizer(self) -> Any:
        """The checkpoint's tokenizer; it has a chat template."""
        return load_tokenizer(self.path)

    @cached_property
    def model(self) -> Any:
        """The loaded weights, adapter merged, ready to run."""
        from transformers import GenerationConfig

        from rpobench.models.local.fast_products import use_fast_products

        model = load_weights(self.path, self.adapter, self.dtype)
        # A checkpoint's own sampling and penalties would fill every setting left open, and greedy would not be greedy.
        model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
        model = model.to(self.device).eval()
        use_fast_products(model)
        return model

    @cached_property
    def encoder(self) -> ChatEncoder:
        """Writes the prompts of answers without thinking, which likelihoods are of."""
        return ChatEncoder(self.tokenizer, self.name, self.path, self._system)

    @cached_property
    def _thinker(self) -> Thinker:
        return Thinker(replace(self.encoder, thinks=self._think_tokens > 0), self._think_tokens)

    @cached_property
    def _stop_tokens(self) -> list[int]:
        """Every token that ends an answer: of the template, the tokenizer and the checkpoint's own settings."""
        return self.encoder.stop_tokens(self.model.generation_config.eos_token_id)

    def encode_prompt(self, chat: Chat) -> list[int]:
        """Token ids of a chat, open for an answer without thinking."""
        return self.encoder.encode_prompt(chat)

    def encode_lesson(self, chat: Chat, answer: str) -> tuple[list[int], list[int]]:
        """A chat and its answer as token ids for training: what is learned is what will be asked.

        Args:
            chat: What the model reads.
            answer: What it is to write.

        Returns:
            Token ids of the open chat, and of the answer with the end of its turn.
        """
        return self.encode_prompt(chat), self.encoder.encode_answer(answer)

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """One completion a chat, in order; it ends at the end of the turn or at the limit of tokens.

        The limit is `max_new_tokens`, and `think_tokens` more where the model may think. Greedy at temperature 0, else
        sampled: with a seed, the text of a chat depends on seed and chat alone.
        """
        from rpobench.models.local.generation import generate_ids
        from rpobench.models.local.sampling import row_seeds

        prompts = [self._thinker.encoder.encode_prompt(chat) for chat in chats]
        limits = [self._thinker.count_new_tokens(chat, decoding) for chat in chats]
        self._require_fit(chats, prompts, max(limits, default=0))
        seeds = row_seeds(prompts, decoding.seed)

        def generate_batch(indices: Sequence[int]) -> list[Completion]:
            started = time.perf_counter()
            answers = generate_ids(
                self.model,
                [prompts[index] for index in indices],
                replace(decoding, max_new_tokens=max(limits[index] for index in indices)),
                [seeds[index] for index in indices],
                stop_tokens=self._stop_tokens,
                filler=self.encoder.end_of_turn,
            )
            answers = [answer[: limits[index]] for index, answer in zip(indices, answers, strict=True)]
            texts = [self._thinker.decode(chats[index], answer) for index, answer in zip(indices, answers, strict=True)]

            seconds = (time.perf_counter() - started) / len(indices)
            completions = []
            for index, text, answer in zip(indices, texts, answers, strict=True):
                is_truncated = not answer or answer[-1] not in self._stop_tokens
                usage = Usage(1, len(prompts[index]), len(answer), seconds)
                completions.append(read_words(text, usage, truncated=is_truncated))
            return completions

        lengths = [len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True)]
        return self.budget.run(lengths, generate_batch)

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """The option of highest mean log-probability a token after each chat; the first of equal ones.

        Each option is scored with the end of the turn behind it, as a whole answer: without, "comedy" would also
        collect what belongs to "comedy drama", and a mere digit what belongs to a numbered list. An option is encoded
        on its own; after a continued message begin it with a space, or end the message with one: it is then moved to
        the option, where tokenizers expect it. Each prompt runs once for all options (but in a recurrent model, which
        cannot go back to it), equal prompts run once.

        With `neutral`, each option's score after the content-free chat of the same index is subtracted (contextual
        calibration, arXiv 2102.09690, in logarithms). Usage counts the tokens that the chat alone would need.

        A model that may think (`think_tokens`) thinks and says its choice, since likelihoods would be those of an
        answer without thinking. An answer that a chat has begun is chosen by likelihood all the same.
        """
        if self._think_tokens and not any(chat[-1].role == "assistant" for chat in chats):
            return self.generate(chats, Decoding(CHOICE_TOKENS))

        started = time.perf_counter()
        if self._is_raw or not neutral:
            scores = self._score_options(chats, options)
        else:
            scores_with_neutral = self._score_options([*chats, *neutral], options)
            pairs = zip(scores_with_neutral[: len(chats)], scores_with_neutral[len(chats) :], strict=True)
            scores = [chat_scores.calibrated_by(neutral_scores) for chat_scores, neutral_scores in pairs]

        seconds = (time.perf_counter() - started) / max(1, len(chats))
        completions = []
        for chat_scores in scores:
            best = max(range(len(options)), key=chat_scores.values.__getitem__)
            completions.append(Completion(options[best], Usage(1, chat_scores.tokens, 0, seconds)))
        return completions

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """Mean log-probability a token of each text as the whole rest of its chat's turn: what `choose` compares.

        A model that may think does not think before a text that is given.
        """
        from rpobench.models.local.likelihoods import score_rows

        rows, answers = [], []
        for chat, text in zip(chats, texts, strict=True):
            open_chat = split_spaces(chat)
            answer = self.encoder.encode_answer(open_chat.spaces + text)
            answers.append(answer)
            rows.append(self.encode_prompt(open_chat.chat) + answer)
        self._require_fit(chats, rows, 0)

        def score_batch(indices: Sequence[int]) -> list[float]:
            return score_rows(
                self.model,
                [rows[index] for index in indices],
                [answers[index] for index in indices],
                self.encoder.end_of_turn,
            )

        return self.budget.run([len(row) for row in rows], score_batch)

    def _score_options(self, chats: Sequence[Chat], options: Sequence[str]) -> list[OptionScores]:
        """The options' scores after each chat, in order; equal chats are scored once."""
        open_chats = [split_spaces(chat) for chat in chats]
        scores: dict[OpenChat, OptionScores] = {}

        for spaces in sorted({open_chat.spaces for open_chat in open_chats}):
            unique = list(dict.fromkeys(open_chat for open_chat in open_chats if open_chat.spaces == spaces))
            prompts = [self.encode_prompt(open_chat.chat) for open_chat in unique]
            answers = [self.encoder.encode_answer(spaces + option) for option in options]
            self._require_fit([open_chat.chat for open_chat in unique], prompts, max(map(len, answers)))

            answer_tokens = sum(map(len, answers))
            for open_chat, prompt, values in zip(unique, prompts, self._score(prompts, answers), strict=True):
                scores[open_chat] = OptionScores(values, len(prompt) + answer_tokens)

        return [scores[open_chat] for open_chat in open_chats]

    def _score(self, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> list[list[float]]:
        """Scores of shape (prompts, answers)."""
        from rpobench.models.local.likelihoods import choose_scorer

        score = choose_scorer(self.model)
        longest = max(map(len, answers))

        def score_batch(indices: Sequence[int]) -> list[list[float]]:
            return score(self.model, [prompts[index] for index in indices], answers, self.encoder.end_of_turn)

        return self.budget.run([len(prompt) + longest for prompt in prompts], score_batch)

    def _require_fit(self, chats: Sequence[Chat], prompts: Sequence[Sequence[int]], new_tokens: int) -> None:
        """Refuse prompts with tokens that the weights do not know, or that leave no room for the new tokens."""
        vocabulary = len(self.model.get_input_embeddings().weight)
        highest = max((max(prompt, default=0) for prompt in prompts), default=0)
        if highest >= vocabulary:
            raise RpobenchError(
                f"{self.path}: its tokenizer says token {highest}, "
                f"its weights know {vocabulary}; check that they belong together"
            )

        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        lengths = [len(prompt) for prompt in prompts]
        longest = max(lengths, default=0)
        if limit and longest + new_tokens > limit:
            raise PromptTooLong(
                f"{self.name}: a prompt of {longest} tokens and {new_tokens} more exceed its context of {limit}; "
                "lower max_prompt_tokens or k, shorten the input, or take a model with more context",
                chats[lengths.index(longest)],
            )
