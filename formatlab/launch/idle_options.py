"""Idle options: what was asked for on the command line and nothing in the study would heed."""

from dataclasses import fields

from formatlab.errors import InputError
from formatlab.launch.study import SETTINGS, Study
from formatlab.train.grpo import PRESETS


def check_heeded(study: Study, preset: Study) -> None:
    """Refuse a study of which some setting was changed in vain.

    Args:
        study: as the command line left it.
        preset: as the experiment's file has it.

    Raises:
        InputError: a changed setting that no run depends on.
    """
    if study.algorithm != preset.algorithm and (study.sweep.algorithm or study.chains):
        by = "chains" if study.chains else "--sweep.algorithm"
        raise InputError(f"--algorithm has no effect: {by} names the algorithms of this study")
    used = study.algorithms
    for name in SETTINGS:
        if getattr(study, name) == getattr(preset, name):
            continue
        option = f"--{name.replace('_', '-')}.*"
        if study.chains:
            raise InputError(
                f"{option} has no effect: the chains of this study have settings of their own; "
                "change them in its file"
            )
        readers = {name, *PRESETS} if name == "grpo" else {name}
        if not readers & used:
            raise InputError(
                f"{option} has no effect: this study trains with {', '.join(sorted(used))}"
            )
    for name in used & PRESETS.keys():
        made = PRESETS[name](study.grpo)
        for field in fields(made):
            given = getattr(study.grpo, field.name)
            if given not in (getattr(preset.grpo, field.name), getattr(made, field.name)):
                option = field.name.replace("_", "-")
                raise InputError(
                    f"--grpo.{option} has no effect: {name} sets it to "
                    f"{getattr(made, field.name)}; take --algorithm grpo to choose it"
                )
    if study.lora != preset.lora and study.train == "full":
        raise InputError("--lora.* has no effect without --train lora")
    bonuses = {study.exploration.bonus, *study.sweep.bonus}
    if study.exploration != preset.exploration and bonuses == {"none"}:
        raise InputError("--exploration.* has no effect without --exploration.bonus")
    changed = study.exploration.baseline != preset.exploration.baseline
    if changed and "ucb_constant" not in bonuses:
        raise InputError("--exploration.baseline has no effect without the bonus ucb_constant")
