"""What a model card says, and that the model loads as it says."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from formatlab.show.export.export import StudyExport, write_export
from formatlab.store import RunFolder
from formatlab.store.rollout import rollouts_from_table
from formatlab.store.weights import weights_digest

Factory = Callable[..., RunFolder]

DIGEST = hashlib.sha256(b"weights" + b"a pickle").hexdigest()
BASE = {
    "kind": "base",
    "world": {
        "mixture": {"name": "two", "shares": {"program": 0.4, "prose": 0.6}, "mistranslates": {}},
        "families": ["chain"],
    },
    "scale": {"name": "0.15M", "width": 64},
    "pretraining": {"tokens": 5000},
    "seed": 0,
}
SUMMARY = {
    "parameters": 150_000,
    "non_embedding_parameters": 120_000,
    "tokens": 5_000,
    "documents": 90,
    "token_shares": {"program": 0.35, "prose": 0.65},
    "held_out_loss": {"program": 0.25, "prose": 0.5},
    "undertrained": False,
    "sha256": DIGEST,
}
OF_LADDER = {"base": {"config": BASE, "sha256": DIGEST, "undertrained": False, "floor": 0.1}}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def place(run: RunFolder, runs: Path) -> RunFolder:
    """The run in a study of a runs folder."""
    path = runs / "study" / run.name
    path.parent.mkdir(parents=True, exist_ok=True)
    return RunFolder.open(run.path.rename(path))


def make_base(run: RunFolder, runs: Path) -> RunFolder:
    """A base with weights, that has the probe of a run's start."""
    base = RunFolder.create(runs / "bases" / "base-s0", config=BASE, env={"formatlab": "0.1.0"})
    base.write_rollouts("probe", 0.0, rollouts_from_table(run.rollouts("probe", epoch=0.0)))
    base.mark_done(SUMMARY)
    write_model(base.path / "model")
    return base


def write_model(path: Path, **adapter: object) -> None:
    path.mkdir(parents=True)
    kind = "adapter_model" if adapter else "model"
    (path / f"{kind}.safetensors").write_bytes(b"weights")
    (path / "training_args.bin").write_bytes(b"a pickle")
    (path / "tokenizer.json").write_text("{}")
    config = adapter or {"model_type": "llama", "_name_or_path": "/" + "home/ada/model"}
    (path / ("adapter_config.json" if adapter else "config.json")).write_text(json.dumps(config))


def export(run: RunFolder, out: Path, **options: str) -> StudyExport:
    return write_export(out, [run], models=True, **options)  # pyright: ignore[reportArgumentType]


def test_bases_and_policies_are_folders_of_their_own(
    make_run: Factory, runs: Path, tmp_path: Path
) -> None:
    run = place(make_run(config=OF_LADDER), runs)
    make_base(run, runs)
    write_model(run.path / "policy")
    found = export(run, tmp_path / "out", licence="apache-2.0")
    assert [model.kind for model in found.models] == ["base", "policy"]
    assert found.missing == {}
    for model in found.models:
        folder = tmp_path / "out" / model.name
        names = ["README.md", "config.json", "model.safetensors", "tokenizer.json"]
        assert sorted(path.name for path in folder.iterdir()) == names
        assert json.loads((folder / "config.json").read_text())["_name_or_path"] == "model"
        head = ModelCard.load(folder / "README.md").data.to_dict()
        assert (head["license"], head["library_name"]) == ("apache-2.0", "transformers")
        assert "base_model" not in head


def test_the_card_of_a_base_tells_what_it_is(make_run: Factory, runs: Path, tmp_path: Path) -> None:
    run = place(make_run(config=OF_LADDER), runs)
    make_base(run, runs)
    export(run, tmp_path / "out")
    text = (tmp_path / "out/models/bases/base-s0/README.md").read_text()
    assert "0.15M: 150,000 parameters, 120,000 without the embedding" in text
    assert "5,000 tokens in 90 documents" in text
    assert "prose 60%, program 40%" in text
    assert re.search(r"\| `program` \| .*\[.*\| 0.350 \| 0.250 \|", text)
    assert "24 held-out prompts x 8 samples" in text
    assert "Undertrained" not in text


def test_the_card_of_a_policy_tells_what_came_of_it(
    make_run: Factory, runs: Path, tmp_path: Path
) -> None:
    events = [{"kind": "truncation", "message": "half were cut off"}]
    metrics = [{"step": 4, "epoch": 0.0, "reward": 0.5, "events": events}]
    about = OF_LADDER | {"base": OF_LADDER["base"] | {"undertrained": True}}
    run = place(make_run(config=about, metrics=metrics), runs)
    write_model(run.path / "policy")
    found = export(run, tmp_path / "out")
    text = (tmp_path / "out/models/policies" / run.name / "README.md").read_text()
    assert re.search(r"`program` at epoch 2: .* margin of \d+ \[\d+, \d+\] percentage points", text)
    assert "| share, base | share, epoch 2 | accuracy, base | accuracy, epoch 2 |" in text
    assert "truncation (step 4): half were cut off." in text
    assert "learning rate 0.00015" in text
    assert "**Undertrained:**" in text
    assert "is not among the bases" in found.missing[f"base of {run.name}"]


def test_a_policy_that_is_not_there_is_named(make_run: Factory, runs: Path, tmp_path: Path) -> None:
    run = place(make_run(), runs)
    found = export(run, tmp_path / "out")
    assert found.models == []
    assert found.missing == {f"policy of {run.name}": "its folder has no weights"}


def test_a_base_that_was_made_again_is_not_taken_for_the_one_that_was_used(
    make_run: Factory, runs: Path, tmp_path: Path
) -> None:
    other = {"base": OF_LADDER["base"] | {"sha256": "bb22"}}
    run = place(make_run(config=other), runs)
    make_base(run, runs)
    assert export(run, tmp_path / "out").models == []


@pytest.mark.parametrize("name", ["config.json", "DONE", "model/model.safetensors"])
def test_a_damaged_base_is_left_out(
    name: str, make_run: Factory, runs: Path, tmp_path: Path
) -> None:
    run = place(make_run(config=OF_LADDER), runs)
    damaged = make_base(run, runs).path / name
    damaged.write_bytes(damaged.read_bytes()[:-3])
    found = export(run, tmp_path / "out")
    assert found.models == []
    assert "is not among the bases" in found.missing[f"base of {run.name}"]


def test_an_adapter_names_what_it_is_put_on(make_run: Factory, runs: Path, tmp_path: Path) -> None:
    started = "/" + "home/ada/runs/bases/base-s0/model"
    run = place(make_run(config=OF_LADDER), runs)
    make_base(run, runs)
    write_model(run.path / "policy", base_model_name_or_path=started, r=4)
    write_model(run.path / "policy-merged")
    found = export(run, tmp_path / "out")
    assert [model.name.split("/", 2)[2] for model in found.models] == [
        "base-s0",
        run.name,
        f"{run.name}-merged",
    ]
    folder = tmp_path / "out/models/policies" / run.name
    assert json.loads((folder / "adapter_config.json").read_text()) == {
        "base_model_name_or_path": "models/bases/base-s0",
        "r": 4,
    }
    text = (folder / "README.md").read_text()
    assert ModelCard(text).data.to_dict()["library_name"] == "peft"
    assert 'start = AutoModelForCausalLM.from_pretrained("models/bases/base-s0")' in text
    assert "home" not in text
    merged = (folder.with_name(f"{run.name}-merged") / "README.md").read_text()
    assert "its adapter merged into it" in merged
    assert "PeftModel" not in merged


def test_a_model_of_the_hub_is_named_as_what_it_was_trained_from(
    make_run: Factory, runs: Path, tmp_path: Path
) -> None:
    real = {"model": "owner/name", "problems": "gsm8k", "world": {}, "mixture": {}}
    run = place(make_run(config=real), runs)
    write_model(run.path / "policy")
    export(run, tmp_path / "out", licence="other")
    text = (tmp_path / "out/models/policies" / run.name / "README.md").read_text()
    assert ModelCard(text).data.to_dict()["base_model"] == "owner/name"
    assert "The licences of the model and of the problems hold" in text


@pytest.mark.slow
@pytest.mark.parametrize("adapter", [False, True], ids=["whole", "adapter"])
def test_a_policy_loads_as_its_card_says(
    make_run: Factory,
    runs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    adapter: bool,
) -> None:
    from peft import LoraConfig, get_peft_model
    from tiny_llama import tiny_model, tiny_tokenizer

    tiny_model().save_pretrained(tmp_path / "tiny")
    digest = weights_digest(tmp_path / "tiny")
    run = place(make_run(config={"base": OF_LADDER["base"] | {"sha256": digest}}), runs)
    base = make_base(run, runs).path / "model"
    (base / "training_args.bin").unlink()
    for folder in (base, run.path / "policy"):
        tiny_model().save_pretrained(folder)
        tiny_tokenizer().save_pretrained(folder)
    if adapter:
        (run.path / "policy" / "model.safetensors").unlink()
        (run.path / "policy" / "config.json").unlink()
        lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
        adapted = get_peft_model(tiny_model(), lora)
        adapted.peft_config["default"].base_model_name_or_path = str(base)
        adapted.save_pretrained(str(run.path / "policy"))
    export(run, tmp_path / "out")
    text = (tmp_path / "out/models/policies" / run.name / "README.md").read_text()
    snippet = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert snippet is not None
    monkeypatch.chdir(tmp_path / "out")
    found: dict[str, object] = {}
    exec(snippet[1], found)
    assert ("PeftModel" in type(found["model"]).__name__) == adapter
    assert len(capsys.readouterr().out) > 0
