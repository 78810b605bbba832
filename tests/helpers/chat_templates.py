"""Chat templates that behave as those of well-known models do, in few words."""

from __future__ import annotations

import shutil
from pathlib import Path

from text_files import change_json

TURN = "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
OPEN = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
IN_TURN = (
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
)

# As Gemma 2: no system message, and roles take turns.
REFUSES_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}" + IN_TURN + TURN + "{% endfor %}" + OPEN
)
# As some community templates: what is no user's and no assistant's is passed over.
DROPS_SYSTEM = (
    "{% for message in messages %}{% if message['role'] != 'system' %}" + TURN + "{% endif %}{% endfor %}" + OPEN
)
# As Mistral 7B v0.3: the system text stands in the last message if that is the user's, and nowhere once it is answered.
LOSES_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{% set system, turns = messages[0]['content'], messages[1:] %}"
    "{% else %}{% set turns = messages %}{% endif %}{% for message in turns %}"
    "{% if message['role'] == 'user' and loop.last and system is defined %}"
    "{{ '<|im_start|>user\n' + system + '\n\n' + message['content'] + '<|im_end|>\n' }}"
    "{% else %}" + TURN + "{% endif %}{% endfor %}" + OPEN
)
# As the R1 distills: the prompt opens the thinking, an answer that follows has none.
OPENS_THINKING = (
    "{% for message in messages %}{% set content = message['content'].split('</think>')[-1] %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}"
)
# As Qwen3: the thinking is left out on request.
MAY_THINK = (
    "{% for message in messages %}" + TURN + "{% endfor %}" + OPEN + "{% if add_generation_prompt and "
    "enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
)


def copy_with_template(checkpoint: Path, folder: Path, template: str) -> Path:
    """A copy of a checkpoint, in a folder of the same name, that has this chat template."""
    copy = Path(shutil.copytree(checkpoint, folder / checkpoint.name))
    (copy / "chat_template.jinja").write_text(template)
    return copy


def end_texts_elsewhere(checkpoint: Path) -> None:
    """Let tokenizer and settings call another token the end than the one that the chat template ends a turn with."""
    change_json(checkpoint / "tokenizer_config.json", eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    for name in ("config.json", "generation_config.json"):
        change_json(checkpoint / name, eos_token_id=0, pad_token_id=0)
