"""Local causal chat models through transformers: generation, choice and likelihood in length-sorted batches."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpobench.models.local.batching import TokenBudget, pad_left
from rpobench.models.local.checkpoints import (
    CHOICES,
    DTYPES,
    checkpoint_sha256,
    find_checkpoint,
    parse_options,
    require_weights,
    weights_sha256,
)
from rpobench.models.local.loading import load_weights, obeying_template, readable, silent_loading, undated
from rpobench.models.protocol import CHAT_TOKENS, PromptTooLong
from rpobench.types import Chat, Completion, Decoding, Message, RpobenchError, Usage

if TYPE_CHECKING:
    import torch

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def open_checkpoint(argument: str) -> TransformersModel:
    """`ORG/NAME[@REV]` on the hub or a folder, with options after `?`: dtype, device, adapter, system, choose.

    Raises:
        RpobenchError: it cannot be found, holds no safetensors, or an option is wrong.
    """
    place, _, query = argument.partition("?")
    options = parse_options(query, f"hf:{argument}")
    found = find_checkpoint(place)
    return TransformersModel(found.path, name=found.name, revision=found.revision, **options)


class TransformersModel:
    """A causal chat model from a folder of safetensors, with or without a LoRA adapter (merged on loading).

    Weights and tokenizer are loaded on first use. `dtype` is auto, float32, bfloat16 or float16: auto is bfloat16 on
    CUDA and float32 on a CPU. In float32 greedy text is the same whatever the batch: the sums of a matrix product may
    be taken in another order for another batch size, which moves a logit by about 1e-5, so only two tokens closer than
    that could swap; in bfloat16 the distance is about 1e-2, which real text does meet.

    `device` is auto, cpu, cuda, cuda:N or mps. `name` and `revision` go into the identity: folder name and sha256 of
    its files unless given. `system` is put before every chat that has no system message of its own. `choose` is
    calibrated or raw: raw leaves content-free chats out of account, and says so in the identity.

    Raises:
        RpobenchError: no safetensors in the folder (pickle is refused), a wrong dtype or device, no chat template, a
            prompt beyond the model's context, or one prompt alone beyond the memory.
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
        budget: TokenBudget | None = None,
    ) -> None:
        self.path, self.adapter, self.budget = Path(path), adapter, budget or TokenBudget()
        self.name = name or self.path.resolve().name
        self._dtype, self._device, self._revision, self._system = dtype, device, revision, system
        self._raw = choose == "raw"
        require_weights(self.path, "a model's safetensors")
        if adapter:
            require_weights(adapter, "a LoRA adapter's safetensors")
            for file in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):  # without the latter peft would take its pickled twin
                if not (adapter / file).is_file():
                    raise RpobenchError(f"{adapter / file}: no such file; give the folder as peft saved it")
        if dtype not in DTYPES:
            raise RpobenchError(f"{self.name}: dtype '{dtype}' is not one of {', '.join(DTYPES)}")
        if choose not in CHOICES:
            raise RpobenchError(f"{self.name}: choose '{choose}' is not one of {', '.join(CHOICES)}")

    @cached_property
    def identity(self) -> str:
        """name@revision and every other thing that changes the text: dtype, chat template, adapter, system prompt."""
        template = json.dumps(self.tokenizer.chat_template, sort_keys=True)
        parts = [
            f"{self.name}@{self._revision or checkpoint_sha256(self.path)}",
            str(self.dtype).removeprefix("torch."),
            f"template:{hashlib.sha256(template.encode()).hexdigest()[:12]}",
        ]
        if self.adapter:
            config = hashlib.sha256((self.adapter / ADAPTER_CONFIG).read_bytes()).hexdigest()[:12]
            parts.append(f"adapter:{weights_sha256(self.adapter)}-{config}")
        if self._system:
            parts.append(f"system:{hashlib.sha256(self._system.encode()).hexdigest()[:12]}")
        if self._raw:
            parts.append("choose:raw")
        return "+".join(parts)

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
        from transformers import AutoTokenizer

        with silent_loading(), readable(self.path):
            tokenizer = AutoTokenizer.from_pretrained(self.path, local_files_only=True, trust_remote_code=False)
        if not tokenizer.chat_template:
            raise RpobenchError(f"{self.path}: its tokenizer has no chat template; take the model's chat version")
        return undated(tokenizer)

    @cached_property
    def model(self) -> Any:
        """The loaded weights, adapter merged, ready to run."""
        from transformers import GenerationConfig

        model = load_weights(self.path, self.adapter, self.dtype)
        # A checkpoint's own sampling and penalties would fill every setting left open, and greedy would not be greedy.
        model.generation_config = GenerationConfig(eos_token_id=model.generation_config.eos_token_id)
        return model.to(self.device).eval()

    @cached_property
    def _end_of_turn(self) -> int:
        """The token the chat template closes an answer with."""
        turn = (("user", "a"), ("assistant", "b"))
        messages = [{"role": role, "content": content} for role, content in turn]
        with obeying_template(self.name):
            whole = self.tokenizer.apply_chat_template(messages, tokenize=False)
            start = self.tokenizer.apply_chat_template(messages, tokenize=False, continue_final_message=True)
        after = self.tokenizer.encode(whole[len(start) :].strip(), add_special_tokens=False)
        end = after[0] if after else self.tokenizer.eos_token_id
        if end is None:
            raise RpobenchError(f"{self.path}: neither chat template nor tokenizer ends an answer; set eos_token")
        return int(end)

    @cached_property
    def _stops(self) -> list[int]:
        """Every token that ends an answer: of the template, the tokenizer and the checkpoint's own settings."""
        own = self.model.generation_config.eos_token_id
        listed = own if isinstance(own, list) else [own]
        return sorted({self._end_of_turn, self.tokenizer.eos_token_id, *listed} - {None})

    def _prompt(self, chat: Chat) -> list[int]:
        """Token ids of a chat, open for the answer. A control token inside a message is plain text."""
        continued = chat[-1].role == "assistant"
        if self._system and chat[0].role != "system":
            chat = (Message("system", self._system), *chat)
        with obeying_template(self.name):
            ids: list[int] = self.tokenizer.apply_chat_template(
                [{"role": message.role, "content": message.content} for message in chat],
                return_dict=False,
                add_generation_prompt=not continued,
                continue_final_message=continued,
                **CHAT_TOKENS,
            )
        return ids

    def _fits(self, chats: Sequence[Chat], prompts: Sequence[Sequence[int]], more: int) -> None:
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        longest = max(map(len, prompts), default=0)
        rows = len(self.model.get_input_embeddings().weight)
        highest = max((max(prompt, default=0) for prompt in prompts), default=0)
        if highest >= rows:
            raise RpobenchError(
                f"{self.path}: its tokenizer says token {highest}, "
                f"its weights know {rows}; check that they belong together"
            )
        if limit and longest + more > limit:
            chat = chats[max(range(len(prompts)), key=lambda place: len(prompts[place]))]
            raise PromptTooLong(
                f"{self.name}: a prompt of {longest} tokens and {more} more exceed its context of {limit}; "
                "lower max_prompt_tokens or k, shorten the input, or take a model with more context",
                chat,
            )

    def generate(self, chats: Sequence[Chat], decoding: Decoding) -> Sequence[Completion]:
        """One completion a chat, in order; ends at the end of the turn or after `max_new_tokens`.

        Greedy at temperature 0, else sampled: with a seed, the text of a chat depends on seed and chat alone.
        """
        from rpobench.models.local.sampling import row_seeds

        prompts = [self._prompt(chat) for chat in chats]
        self._fits(chats, prompts, decoding.max_new_tokens)
        lengths = [len(prompt) + decoding.max_new_tokens for prompt in prompts]
        seeds = row_seeds(prompts, decoding.seed)
        return self.budget.run(
            lengths, lambda rows: self._generate([prompts[i] for i in rows], decoding, [seeds[i] for i in rows])
        )

    def _generate(
        self, prompts: Sequence[Sequence[int]], decoding: Decoding, seeds: Sequence[int]
    ) -> Sequence[Completion]:
        import torch
        from transformers import GenerationConfig

        from rpobench.models.local.sampling import processors

        started = time.perf_counter()
        ids, mask = pad_left(prompts, self._end_of_turn)
        config = GenerationConfig(
            max_new_tokens=decoding.max_new_tokens, eos_token_id=self._stops, pad_token_id=self._end_of_turn
        )
        with torch.inference_mode():
            written = self.model.generate(
                ids.to(self.device),
                attention_mask=mask.to(self.device),
                generation_config=config,
                logits_processor=processors(decoding, seeds),
            )
        answers = [self._until_stop(row) for row in written[:, ids.shape[1] :].tolist()]
        seconds = (time.perf_counter() - started) / len(prompts)
        return [
            Completion(
                self.tokenizer.decode(answer, skip_special_tokens=True), Usage(1, len(prompt), len(answer), seconds)
            )
            for prompt, answer in zip(prompts, answers, strict=True)
        ]

    def _until_stop(self, ids: list[int]) -> list[int]:
        """The new tokens of a row with the stop token that ended it, without the padding after it."""
        end = next((place for place, token in enumerate(ids) if token in self._stops), len(ids))
        return ids[: end + 1]

    def choose(
        self, chats: Sequence[Chat], options: Sequence[str], *, neutral: Sequence[Chat] | None = None
    ) -> Sequence[Completion]:
        """The option of highest mean log-probability a token after each chat; the first of equal ones.

        Each option is scored with the end of the turn behind it, as a whole answer: without, "comedy" would also
        collect what belongs to "comedy drama", and a mere digit what belongs to a numbered list. An option is encoded
        on its own; after a continued message begin it with a space, or end the message with one: it is then moved to
        the option, where tokenizers expect it. Each prompt runs once for all options (but in a
        recurrent model, which cannot go back to it), equal prompts run once.

        With `neutral`, each option's score after the content-free chat of the same index is subtracted (contextual
        calibration, arXiv 2102.09690, in logarithms). Usage counts the tokens that the chat alone would need.
        """
        started = time.perf_counter()
        neutral = None if self._raw else neutral
        every = [*chats, *(neutral or ())]
        split = [self._split_space(chat) for chat in every]
        scores: dict[tuple[Chat, str], list[float]] = {}
        counts: dict[tuple[Chat, str], int] = {}
        for space in sorted({space for _, space in split}):
            unique = list(dict.fromkeys(chat for chat, own in split if own == space))
            prompts, ends = [self._prompt(chat) for chat in unique], [self._ending(space + text) for text in options]
            self._fits(unique, prompts, max(map(len, ends)))
            for chat, prompt, row in zip(unique, prompts, self._score_options(prompts, ends), strict=True):
                scores[chat, space] = row
                counts[chat, space] = len(prompt) + sum(map(len, ends))
        seconds = (time.perf_counter() - started) / max(1, len(chats))
        completions = []
        for place in range(len(chats)):
            row, tokens = scores[split[place]], counts[split[place]]
            if neutral:
                twin = split[len(chats) + place]
                row, tokens = [own - base for own, base in zip(row, scores[twin], strict=True)], tokens + counts[twin]
            best = max(range(len(options)), key=row.__getitem__)
            completions.append(Completion(options[best], Usage(1, tokens, 0, seconds)))
        return completions

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """Mean log-probability a token of each text as the whole rest of its chat's turn: what `choose` compares."""
        split = [self._split_space(chat) for chat in chats]
        prompts = [self._prompt(chat) for chat, _ in split]
        ends = [self._ending(space + text) for (_, space), text in zip(split, texts, strict=True)]
        rows = [prompt + end for prompt, end in zip(prompts, ends, strict=True)]
        self._fits(chats, rows, 0)
        return self.budget.run(
            [len(row) for row in rows],
            lambda batch: self._score_rows([rows[i] for i in batch], [ends[i] for i in batch]),
        )

    @staticmethod
    def _split_space(chat: Chat) -> tuple[Chat, str]:
        """A continued chat without the spaces at its end, and those spaces; any other chat as it is."""
        last = chat[-1]
        if last.role != "assistant":
            return chat, ""
        content = last.content.rstrip(" ")
        return (*chat[:-1], type(last)(last.role, content)), last.content[len(content) :]

    def lesson(self, chat: Chat, answer: str) -> tuple[list[int], list[int]]:
        """Token ids of an open chat, and of the answer with the end of its turn: trained on is what is asked."""
        return self._prompt(chat), self._ending(answer)

    def _ending(self, text: str) -> list[int]:
        ids = self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return [*ids, self._end_of_turn]

    def _score_options(self, prompts: Sequence[list[int]], ends: Sequence[list[int]]) -> list[list[float]]:
        from transformers import DynamicCache

        longest = max(map(len, ends))
        # What was read of a prompt can be gone back to, unless it is a recurrent state (Mamba and its like).
        score = self._score_batch if DynamicCache(config=self.model.config).is_croppable else self._score_apart
        return self.budget.run(
            [len(prompt) + longest for prompt in prompts], lambda batch: score([prompts[i] for i in batch], ends)
        )

    def _score_apart(self, prompts: Sequence[list[int]], ends: Sequence[list[int]]) -> list[list[float]]:
        """Scores of shape (prompts, ends), each prompt read anew for every ending."""
        columns = [self._score_rows([prompt + end for prompt in prompts], [end] * len(prompts)) for end in ends]
        return [list(row) for row in zip(*columns, strict=True)]

    def _score_batch(self, prompts: Sequence[list[int]], ends: Sequence[list[int]]) -> list[list[float]]:
        """Scores of shape (prompts, ends). One key-value cache serves every ending."""
        import torch

        ids, mask = (part.to(self.device) for part in pad_left(prompts, self._end_of_turn))
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        columns = []
        with torch.inference_mode():
            read = self.model(ids, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1)
            cache, first = read.past_key_values, read.logits[:, -1:].float().log_softmax(-1)
            cache.activate_past_recording()  # a sliding window would forget what it slides past
            for end in ends:
                fed = torch.tensor([end[:-1]] * len(prompts), device=self.device)
                steps = torch.arange(1, len(end), device=self.device)
                more = self.model(
                    fed,
                    attention_mask=torch.cat([mask, torch.ones_like(fed)], 1),
                    position_ids=positions[:, -1:] + steps,
                    past_key_values=cache,
                )
                cache.crop(1 - len(end))
                known = torch.cat([first, more.logits.float().log_softmax(-1)], 1)
                said = torch.tensor([end] * len(prompts), device=self.device)[..., None]
                columns.append(known.gather(2, said).squeeze(-1).mean(1))
        scores: list[list[float]] = torch.stack(columns, 1).tolist()
        return scores

    def _score_rows(self, rows: Sequence[list[int]], ends: Sequence[list[int]]) -> list[float]:
        import torch

        ids, mask = (part.to(self.device) for part in pad_left(rows, self._end_of_turn))
        kept = max(map(len, ends)) + 1
        with torch.inference_mode():
            read = self.model(
                ids, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp(min=0), logits_to_keep=kept
            )
            known = read.logits[:, :-1].float().log_softmax(-1)
            said = known.gather(2, ids[:, 1 - kept :, None]).squeeze(-1)
        return [float(row[-len(end) :].mean()) for row, end in zip(said, ends, strict=True)]
