"""Experiment files: a hypothesis in the docstring, and a study for each preset below it.

`load_experiment` imports the file, `preset_of` picks the study that the command line names, and
`check_options_used` refuses options that change a setting which no run of the study uses.
"""

import importlib.util
import sys
from dataclasses import fields
from pathlib import Path
from traceback import extract_tb, walk_tb

from formatlab.errors import FormatlabError, InputError
from formatlab.store.field_kinds import kind_fault
from formatlab.study.study import SETTINGS, Study
from formatlab.train.on_policy.settings import GRPO_PRESETS


def load_experiment(path: Path) -> tuple[str, dict[str, Study]]:
    """Import an experiment file and give its docstring and its presets.

    Raises:
        InputError: no such file, no Python, or no `PRESETS` of studies in it.
    """
    if not path.is_file():
        raise InputError(f"there is no experiment file {path}; give the path of a Python file")
    spec = importlib.util.spec_from_file_location(f"experiment_{path.stem}", path)
    if spec is None:
        raise InputError(f"{path} is not a Python file; its name must end in .py")
    source = path.read_bytes()
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where the source of its classes is looked for
    try:
        # Compiled anew each time: Python's cache takes an edit within a second for no edit.
        exec(compile(source, path, "exec"), vars(module))
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""  # none for bytes that are no text
        raise InputError(f"{path}{line}: no Python: {error.msg}") from error
    except (Exception, SystemExit) as error:  # the author of the file has to mend it
        fault = _kind_fault(error)
        if isinstance(error, FormatlabError) and fault is None:
            raise
        lines = [
            f.lineno
            for f in extract_tb(error.__traceback__)
            if Path(f.filename).resolve() == path.resolve()
        ]
        raise InputError(
            f"{path}, line {lines[-1] if lines else '?'}: "
            f"{fault or f'{type(error).__name__}: {error}'}"
        ) from error
    presets = getattr(module, "PRESETS", None)
    if not isinstance(presets, dict) or not presets:
        raise InputError(
            f"{path} has no PRESETS; an experiment holds a dict of preset name -> study, the "
            "default one first (see experiments/scale_attractors.py)"
        )
    for name, study in presets.items():
        if not isinstance(study, Study):
            raise InputError(
                f"{path}: PRESETS[{name!r}] is of type {type(study).__name__}, and no study (see "
                "experiments/scale_attractors.py)"
            )
        if fault := kind_fault(study):
            raise InputError(f"{path}: PRESETS[{name!r}]: {fault}")
    return (module.__doc__ or "").strip(), presets


def _kind_fault(error: BaseException) -> str | None:
    """The field of a wrong kind in the settings whose own check ended in an error, in words."""
    for frame, _ in walk_tb(error.__traceback__):
        settings = frame.f_locals.get("self")
        if frame.f_code.co_name == "__post_init__" and (fault := kind_fault(settings)):
            return f"{type(settings).__name__}: {fault}"
    return None


def preset_of(arguments: list[str], presets: dict[str, Study], path: Path) -> Study:
    """The study that `--preset` names among the arguments; the first one without it.

    Raises:
        InputError: no such preset.
    """
    name = next(iter(presets))
    for index, word in enumerate(arguments):
        if word == "--preset" and index + 1 < len(arguments):
            name = arguments[index + 1]
        elif word.startswith("--preset="):
            name = word.removeprefix("--preset=")
    if name not in presets:
        raise InputError(f"{path} has no preset {name!r}; it has {', '.join(presets)}")
    return presets[name]


def check_options_used(study: Study, preset: Study) -> None:
    """Refuse a study if a setting was changed that none of its runs uses.

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
        readers = {name, *GRPO_PRESETS} if name == "grpo" else {name}
        if not readers & used:
            raise InputError(
                f"{option} has no effect: this study trains with {', '.join(sorted(used))}"
            )
    for name in used & GRPO_PRESETS.keys():
        made = GRPO_PRESETS[name](study.grpo)
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
