"""Checkpoints a user may name wrongly: one line that says which and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from text_files import change_json

from rpobench.models.local.transformers import TransformersModel, open_checkpoint
from rpobench.types import Decoding, Message, RpobenchError

CHAT = (Message("user", "a kettle"),)


def refusal(argument: str) -> str:
    """The one-line error about `hf:argument`, by opening or by first use."""
    with pytest.raises(RpobenchError) as error:
        open_checkpoint(argument).generate([CHAT], Decoding(4))

    assert "\n" not in str(error.value)
    return str(error.value)


def remove_tensor(file: Path, part: str) -> str:
    """Take a tensor with this part in its name out of the file; its name."""
    tensors = load_file(file)
    removed = min(name for name in tensors if part in name)
    tensors.pop(removed)
    save_file(tensors, file, metadata={"format": "pt"})
    return removed


def save_adapter(checkpoint: Path, folder: Path) -> None:
    """A fresh LoRA adapter of the checkpoint, as peft saves it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(checkpoint)
    get_peft_model(base, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(folder)


def test_a_folder_without_weights(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "model.safetensors").unlink()

    assert (
        refusal(str(checkpoint_copy))
        == f"{checkpoint_copy}: holds no *.safetensors; give a folder that holds a model's safetensors"
    )


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth"])
def test_pickled_weights(checkpoint_copy: Path, name: str) -> None:
    (checkpoint_copy / "model.safetensors").rename(checkpoint_copy / name)

    assert refusal(str(checkpoint_copy)).startswith(
        f"{checkpoint_copy / name}: pickled weights can run code and are refused"
    )


def test_truncated_weights(checkpoint_copy: Path) -> None:
    weights = checkpoint_copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])

    assert refusal(str(checkpoint_copy)).startswith(f"{checkpoint_copy}: transformers cannot load it")


def test_a_broken_configuration(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "config.json").write_text("{")

    assert refusal(str(checkpoint_copy)).startswith(f"{checkpoint_copy}: transformers cannot load it")


def test_weights_that_are_missing_are_not_made_up(checkpoint_copy: Path) -> None:
    removed = remove_tensor(checkpoint_copy / "model.safetensors", "q_proj")

    message = refusal(str(checkpoint_copy))

    assert message.startswith(
        f"{checkpoint_copy}: transformers cannot load it (1 weights are missing, such as {removed})"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(checkpoint_copy: Path, value: float) -> None:
    file = checkpoint_copy / "model.safetensors"
    tensors = load_file(file)
    name = min(name for name in tensors if "q_proj" in name)
    tensors[name][0, 0] = value
    save_file(tensors, file, metadata={"format": "pt"})

    assert f"1 weights are no finite numbers, such as {name})" in refusal(str(checkpoint_copy))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "[]"),
        ("config.json", '{"model_type": "llama", "hidden_size": "wide"}'),
        ("config.json", '{"model_type": "llama", "num_attention_heads": 0}'),
        ("tokenizer.json", "{}"),
        ("tokenizer.json", "[]"),
        ("tokenizer_config.json", "[]"),
        ("generation_config.json", "[]"),
    ],
)
def test_a_file_of_another_form(checkpoint_copy: Path, file: str, content: str) -> None:
    (checkpoint_copy / file).write_text(content)

    assert refusal(str(checkpoint_copy)).startswith(f"{checkpoint_copy}: transformers cannot load it")


def test_a_tokenizer_of_another_model(checkpoint_copy: Path) -> None:
    file = checkpoint_copy / "model.safetensors"
    weights = load_file(file)
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:100].contiguous()
    save_file(weights, file, metadata={"format": "pt"})
    change_json(checkpoint_copy / "config.json", vocab_size=100)

    message = refusal(str(checkpoint_copy))

    assert message.startswith(f"{checkpoint_copy}: its tokenizer says token ")
    assert message.endswith(", its weights know 100; check that they belong together")


def test_an_answer_without_an_end(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "chat_template.jinja").write_text(
        "{% for message in messages %}{{ message['content'] }}{% endfor %}"
    )
    change_json(checkpoint_copy / "tokenizer_config.json", eos_token=None)

    message = refusal(str(checkpoint_copy))

    assert message == f"{checkpoint_copy}: neither chat template nor tokenizer ends an answer; set eos_token"


def test_a_quantization_that_is_not_installed(checkpoint_copy: Path) -> None:
    change_json(
        checkpoint_copy / "config.json", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}
    )

    assert "transformers cannot load it (Using `bitsandbytes`" in refusal(str(checkpoint_copy))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_code_that_a_checkpoint_brings_is_not_run(checkpoint_copy: Path, file: str) -> None:
    trace = checkpoint_copy / "was_run"
    (checkpoint_copy / "custom.py").write_text(f"open({str(trace)!r}, 'w')")
    classes = {"AutoConfig": "custom.A", "AutoModelForCausalLM": "custom.B", "AutoTokenizer": ["custom.C", "custom.C"]}
    change_json(checkpoint_copy / file, auto_map=classes, model_type="custom", tokenizer_class="Custom")

    message = refusal(str(checkpoint_copy))

    assert "custom code" in message and not trace.exists()


def test_no_chat_template(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "chat_template.jinja").unlink()

    assert "has no chat template; take the model's chat version" in refusal(str(checkpoint_copy))


def test_a_chat_template_that_refuses_the_chat(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "chat_template.jinja").write_text("{{ raise_exception('only systems may speak') }}")

    assert "refuses this chat (only systems may speak)" in refusal(str(checkpoint_copy))


@pytest.mark.parametrize(
    "template", ["{{ messages[0]['content'] + 1 }}", "{{ 1 / 0 }}", "{% if %}", "{{ nobody.said }}"]
)
def test_a_chat_template_with_faults(checkpoint_copy: Path, template: str) -> None:
    (checkpoint_copy / "chat_template.jinja").write_text(template)

    assert refusal(str(checkpoint_copy)).startswith("tiny: its chat template refuses this chat (")


def test_a_chat_template_that_shows_no_chat(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "chat_template.jinja").write_text("hello")

    assert refusal(str(checkpoint_copy)).startswith("tiny: its chat template refuses this chat (")


def test_no_such_folder(tmp_path: Path) -> None:
    assert "no such folder, and no name of the form ORG/NAME[@REV]" in refusal(str(tmp_path / "nowhere"))
    assert "no such folder, and no name of the form ORG/NAME[@REV]" in refusal("just-a-word")


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("speed=fast", "unknown option 'speed'; known: adapter, choose, device, dtype, system, think_tokens"),
        ("dtype=", "option 'dtype' has no value; write dtype=VALUE or leave it out"),
        ("dtype", "option 'dtype' has no value; write dtype=VALUE or leave it out"),
    ],
)
def test_an_unknown_option_or_one_without_value(tiny_checkpoint: Path, option: str, complaint: str) -> None:
    assert refusal(f"{tiny_checkpoint}?{option}") == f"hf:{tiny_checkpoint}?{option}: {complaint}"


def test_a_wrong_dtype_or_device(tiny_checkpoint: Path) -> None:
    assert "unknown dtype 'int3'; known: auto, float32, bfloat16, float16" in refusal(f"{tiny_checkpoint}?dtype=int3")

    for device in ("abacus", "meta"):
        assert f"device '{device}' is not usable here" in refusal(f"{tiny_checkpoint}?device={device}")


def test_dtype_and_device_are_as_given(tiny_checkpoint: Path) -> None:
    model = open_checkpoint(f"{tiny_checkpoint}?dtype=bfloat16&device=cpu")

    weights = list(model.model.parameters())
    assert {str(weight.dtype) for weight in weights} == {"torch.bfloat16"}
    assert {weight.device.type for weight in weights} == {"cpu"}
    assert len(model.generate([CHAT], Decoding(4))) == 1


@pytest.mark.parametrize(("present", "device", "dtype"), [(True, "cuda", "bfloat16"), (False, "cpu", "float32")])
def test_dtype_and_device_are_the_machines(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, present: bool, device: str, dtype: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: present)

    model = open_checkpoint(str(tiny_checkpoint))

    assert (model.device.type, str(model.dtype)) == (device, f"torch.{dtype}")
    assert f"+{dtype}+" in model.identity


def test_a_wrong_way_to_choose(tiny_checkpoint: Path) -> None:
    assert "unknown choose 'cooked'; known: calibrated, raw" in refusal(f"{tiny_checkpoint}?choose=cooked")


def test_an_adapter_without_safetensors(tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"")

    assert "adapter_model.bin: pickled weights" in refusal(f"{tiny_checkpoint}?adapter={tmp_path}")
    assert "no such folder" in refusal(f"{tiny_checkpoint}?adapter={tmp_path / 'nowhere'}")


def test_an_adapter_whose_safetensors_hide_pickled_weights(tiny_checkpoint: Path, tmp_path: Path) -> None:
    save_adapter(tiny_checkpoint, tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    torch.save(weights, tmp_path / "adapter_model.bin")
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "other.safetensors")

    message = refusal(f"{tiny_checkpoint}?adapter={tmp_path}")

    assert message == f"{tmp_path / 'adapter_model.safetensors'}: no such file; give the folder as peft saved it"


def test_an_adapter_without_configuration(tiny_checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_checkpoint / "model.safetensors", tmp_path / "adapter_model.safetensors")

    assert "adapter_config.json: no such file" in refusal(f"{tiny_checkpoint}?adapter={tmp_path}")


def test_an_adapter_of_another_model(tiny_checkpoint: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    other = LlamaForCausalLM(
        LlamaConfig(hidden_size=16, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, vocab_size=50)
    )
    get_peft_model(other, LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path)

    message = refusal(f"{tiny_checkpoint}?adapter={tmp_path}")

    assert message.startswith(f"{tmp_path}: the adapter was made for a model without a name, not for tiny: its ")
    assert "down_proj is 16 x 8, the model's is 32 x 64; take an adapter of tiny, or the base model" in message


@pytest.fixture
def named_adapter(tiny_checkpoint: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Saves an adapter of the tiny model that calls its base model by this name."""

    def save(base_name: str) -> Path:
        save_adapter(tiny_checkpoint, tmp_path / "adapter")
        change_json(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path=base_name)
        return tmp_path / "adapter"

    return save


def test_an_adapter_of_another_name(tiny_checkpoint: Path, named_adapter: Callable[[str], Path]) -> None:
    adapter = named_adapter("org/another-model")

    message = refusal(f"{tiny_checkpoint}?adapter={adapter}")

    assert message == (
        f"{adapter}: the adapter was made for org/another-model, not for tiny; "
        "take an adapter of tiny, or the base model that it was made for"
    )


@pytest.mark.parametrize("base_name", ["org/tiny", "mirror/Tiny", "", "/moved/since/model"])
def test_an_adapter_whose_base_may_be_this_one(
    tiny_checkpoint: Path, named_adapter: Callable[[str], Path], base_name: str
) -> None:
    adapter = named_adapter(base_name)

    assert TransformersModel(tiny_checkpoint, adapter=adapter).generate([CHAT], Decoding(2))


def test_an_adapter_of_a_folder_with_other_weights(
    tiny_checkpoint: Path, checkpoint_copy: Path, named_adapter: Callable[[str], Path]
) -> None:
    adapter = named_adapter(str(checkpoint_copy))
    assert TransformersModel(tiny_checkpoint, adapter=adapter).identity, "a copy of the same model"

    remove_tensor(checkpoint_copy / "model.safetensors", "norm")

    message = refusal(f"{tiny_checkpoint}?adapter={adapter}")
    assert message.startswith(f"{adapter}: the adapter was made for {checkpoint_copy}, not for tiny; ")


def test_an_adapter_with_more_layers_than_the_model(
    tiny_checkpoint: Path, named_adapter: Callable[[str], Path]
) -> None:
    file = named_adapter("") / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors |= {name.replace("layers.1", "layers.7"): tensor.clone() for name, tensor in tensors.items()}
    save_file(tensors, file, metadata={"format": "pt"})

    assert "weights of the adapter have no place in the model" in refusal(f"{tiny_checkpoint}?adapter={file.parent}")


def test_half_an_adapter(tiny_checkpoint: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    save_adapter(tiny_checkpoint, tmp_path)
    removed = remove_tensor(tmp_path / "adapter_model.safetensors", "lora_B")
    recwarn.clear()

    message = refusal(f"{tiny_checkpoint}?adapter={tmp_path}")

    assert f"1 weights of the adapter are missing, such as {removed}" in message
    assert not recwarn.list, "no warning stands beside the error"


def test_a_prompt_beyond_the_context(checkpoint_copy: Path) -> None:
    change_json(checkpoint_copy / "config.json", max_position_embeddings=64)
    model = TransformersModel(checkpoint_copy)
    long_chat = (Message("user", "word " * 50),)
    uses: list[Callable[[], object]] = [
        lambda: model.generate([CHAT, long_chat], Decoding(4)),
        lambda: model.choose([CHAT, long_chat], ["1", "2"]),
        lambda: model.loglikelihood([long_chat], ["1"]),
    ]

    for use in uses:
        with pytest.raises(RpobenchError, match=r"tiny: a prompt of \d+ tokens .*exceed its context of 64; lower"):
            use()
    assert model.generate([CHAT], Decoding(4))


def test_a_name_on_the_hub_is_its_commit(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Path(shutil.copytree(tiny_checkpoint, tmp_path / "snapshots" / "0123abcd"))
    downloads = []

    def download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        downloads.append((name, revision))
        assert not any(pattern.endswith((".bin", ".pt")) for pattern in allow_patterns)
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    model = open_checkpoint("org/tiny@v2?dtype=float32")

    assert downloads == [("org/tiny", "v2")]
    assert model.identity.startswith("org/tiny@0123abcd+float32+")


def test_a_hub_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, **_: object) -> str:
        raise LocalEntryNotFoundError("no connection\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)

    assert refusal("org/tiny@v2") == (
        "hf:org/tiny@v2: the hub does not give it (no connection); "
        "check name, revision, access and network, or give a local folder"
    )


def test_a_name_the_hub_cannot_have() -> None:
    assert "hf:org/..tiny: the hub does not give it" in refusal("org/..tiny")
