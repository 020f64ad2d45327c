"""The model card: README.md of an exported base or policy."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from formatlab.measure import run_winners
from formatlab.show.export.card import (
    card_template,
    citation,
    front_matter,
    grader_markdown,
    licence_text,
    markdown_code,
    markdown_text,
)
from formatlab.show.export.exported_model import ExportedModel, hub_id
from formatlab.show.export.provenance import (
    environment_text,
    mixture_words,
    pretraining_text,
    problems_text,
    provenance,
    stages_text,
)
from formatlab.show.palette import format_order
from formatlab.show.run_result import RunResult, event_notes
from formatlab.show.tables.table import markdown_table
from formatlab.show.wording import epoch_text, fraction_text, interval_text, percent_text
from formatlab.store import RunFolder

_COUNTS = ("parameters", "non_embedding_parameters")

_FORMATS_NOTE = (
    "Shares and accuracies are of the probe, with 95% cluster-bootstrap intervals over its prompts "
    "in percent: {prompts} held-out prompts x {samples} samples. `none`: no format was recognised."
)


def model_card(
    model: ExportedModel, *, licence: str | None, commands: Sequence[Sequence[str]] = ()
) -> str:
    """Return the card of a base or a policy as Markdown with its front matter.

    Args:
        model: the model.
        licence: its identifier on the hub; None if the owner has not chosen one.
        commands: command lines that made it, if known.
    """
    if model.run is None:
        return _base_card(model, licence)
    return _policy_card(model, model.run, licence, commands)


def _base_card(model: ExportedModel, licence: str | None) -> str:
    config, summary = model.folder.config, model.folder.summary or {}
    mixture = config["world"]["mixture"]
    facts = [
        ("scale", _scale_text(config["scale"]["name"], *(summary[name] for name in _COUNTS))),
        ("problems", problems_text(config)),
        ("mixture", mixture_words(mixture["shares"], mixture.get("mistranslates", {}))),
        ("seen", f"{summary['tokens']:,} tokens in {summary['documents']:,} documents"),
        ("seed", str(config["seed"])),
        ("SHA-256 of the weights", markdown_code(summary["sha256"])),
    ]
    made = [
        ("pretraining", pretraining_text(config)),
        ("made with", environment_text(model.folder.env)),
        ("commit", markdown_code(model.folder.env.get("git_commit") or "")),
    ]
    return _card(
        model,
        licence,
        synthetic=True,
        tags=["pretraining"],
        title=f"Base {model.folder.name}",
        what="A language model pretrained by formatlab on word problems whose solutions are "
        "written in several formats, from which reinforcement learning starts.",
        facts=facts,
        made=made,
        undertrained=summary["undertrained"],
        epochs=run_winners(model.folder).to_pylist(),
        measures={
            "share of tokens": summary["token_shares"],
            "held-out loss, nats a token": summary["held_out_loss"],
        },
    )


def _policy_card(
    model: ExportedModel, run: RunResult, licence: str | None, commands: Sequence[Sequence[str]]
) -> str:
    of = run.facts
    facts = [
        ("scale", _scale_text(of.scale, of.parameters, of.non_embedding_parameters)),
        ("winner", _winner_text(run)),
        ("accuracy", _accuracy_text(run)),
        ("collapse", _collapse_text(run)),
        ("steps", f"{run.metrics[-1]['step'] + 1:,}" if run.metrics else ""),
        ("adapter on", markdown_code(model.start or "") if model.is_adapter else ""),
    ]
    epochs = [row for row in (run.base, run.final) if row]
    kind = "An adapter of a" if model.is_adapter else "A"
    return _card(
        model,
        licence,
        synthetic=of.synthetic,
        tags=[*["reinforcement-learning"] * (not of.from_documents), *dict.fromkeys(of.stages)],
        title=f"Policy {model.name.rsplit('/', 1)[-1]}",
        what=f"{kind} language model that formatlab trained with {markdown_text(stages_text(of))}: "
        "the policy that the run of this name ended with"
        f"{', its adapter merged into it' * model.is_merged}.",
        facts=facts,
        made=provenance([run], commands),
        undertrained=run.undertrained,
        epochs=epochs,
        events=event_notes(run.events),
        names=[_epoch_name(run, row) for row in epochs],
    )


def _card(
    model: ExportedModel,
    licence: str | None,
    *,
    synthetic: bool,
    tags: Sequence[str],
    title: str,
    what: str,
    facts: Sequence[tuple[str, str]],
    made: Sequence[tuple[str, str]],
    undertrained: bool,
    epochs: Sequence[Mapping[str, Any]],
    events: Sequence[str] = (),
    names: Sequence[str] = ("base",),
    measures: Mapping[str, Mapping[str, float]] | None = None,
) -> str:
    formats = format_order({of["tag"] for row in epochs for of in row["formats"]})
    head = {
        "license": licence or "unknown",
        "library_name": "peft" if model.is_adapter else "transformers",
        "pipeline_tag": "text-generation",
        "base_model": hub_id(str(model.folder.config.get("model", ""))),
        "language": ["en"] if synthetic else None,
        "tags": ["formatlab", *tags],
    }
    size = epochs[-1] if epochs else {"n_prompts": 0, "samples_per_prompt": 0}
    return card_template("model_card.md.jinja").render(
        front_matter=front_matter(head),
        title=markdown_text(title),
        what=what,
        undertrained=undertrained,
        facts=markdown_table(("", ""), [row for row in facts if row[1]]),
        adapter=model.is_adapter,
        start=model.start if model.is_adapter else None,
        name=model.name,
        prompt=json.dumps(_prompt(model.folder), ensure_ascii=False),
        formats=_formats_table(formats, epochs, names, measures or {}),
        formats_note=_FORMATS_NOTE.format(
            prompts=size["n_prompts"], samples=size["samples_per_prompt"] or "unequal"
        ),
        events=[markdown_text(event) for event in events],
        made=markdown_table(("what", "how"), [row for row in made if row[1]]),
        synthetic=synthetic,
        grader=grader_markdown(formats),
        licence=licence_text(licence, synthetic=synthetic),
        citation=citation(),
    )


def _prompt(folder: RunFolder) -> str:
    """The first prompt of the probe."""
    for table in folder.rollout_batches("probe", columns=["prompt"]):
        return table["prompt"][0].as_py()
    return ""


def _scale_text(name: str, parameters: int, non_embedding: int) -> str:
    return (
        f"{markdown_text(name)}: {parameters:,} parameters, {non_embedding:,} without the embedding"
    )


def _winner_text(run: RunResult) -> str:
    row = run.final
    if row is None:
        return "not probed after training"
    margin = interval_text(row["margin"], row["margin_low"], row["margin_high"])
    return (
        f"{markdown_code(row['winner'])} at epoch {epoch_text(row['epoch'])}: "
        f"{markdown_code(row['leader'])} has {percent_text(row['share'])} of the probe, by a "
        f"margin of {margin} percentage points"
    )


def _accuracy_text(run: RunResult) -> str:
    rows = [row for row in (run.base, run.final) if row]
    return ", then ".join(
        f"{fraction_text(row['accuracy'])} ({_epoch_name(run, row)})" for row in rows
    )


def _epoch_name(run: RunResult, row: Mapping[str, Any]) -> str:
    return f"epoch {epoch_text(row['epoch'])}" if row["epoch"] else run.facts.start_name


def _collapse_text(run: RunResult) -> str:
    if run.facts.from_documents or not run.training_shares:
        return ""
    if run.collapse_step is None:
        return "no format keeps 90% of the training rollouts to the end"
    return f"one format keeps 90% of the training rollouts from step {run.collapse_step:,} on"


def _formats_table(
    tags: Sequence[str],
    epochs: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    measures: Mapping[str, Mapping[str, float]],
) -> str:
    headings = ["format"]
    headings += [f"{what}, {name}" for what in ("share", "accuracy") for name in names]
    rows = []
    for tag in tags:
        cells = [
            _cell(next((of for of in row["formats"] if of["tag"] == tag), None), what)
            for what in ("share", "accuracy")
            for row in epochs
        ]
        more = [f"{of[tag]:.3f}" if tag in of else "-" for of in measures.values()]
        rows.append([markdown_code(tag), *cells, *more])
    return markdown_table([*headings, *measures], rows)


def _cell(of: Mapping[str, Any] | None, what: str) -> str:
    if of is None:
        return "0" if what == "share" else "-"
    if of[what] is None:
        return "-"
    low, high = of[f"{what}_low"], of[f"{what}_high"]
    interval = "" if low is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{100 * of[what]:.1f}{interval}"
