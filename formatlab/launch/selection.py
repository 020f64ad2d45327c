"""Selection: which runs of a study are asked for, as `scale=0.04M,seed=0`."""

from collections.abc import Sequence

from formatlab.errors import InputError
from formatlab.launch.task import Task


def selected(runs: Sequence[Task], only: str) -> Sequence[Task]:
    """The runs that every fact named holds of, and of a fact named several times any of its values.

    Args:
        runs: of a study.
        only: `fact=value` several times, with commas between; empty for all.

    Raises:
        InputError: no run has such a fact, or none is left.
    """
    wanted: dict[str, set[str]] = {}
    for part in filter(None, (part.strip() for part in only.split(","))):
        name, equals, value = (word.strip() for word in part.partition("="))
        known = {run.facts[name] for run in runs if name in run.facts}
        if not equals or not known:
            facts = sorted({fact for run in runs for fact in run.facts if _varies(runs, fact)})
            raise InputError(
                f"--only {part}: runs are selected by fact=value, and differ here in "
                f"{', '.join(facts) or 'nothing'}"
            )
        if value not in known:
            raise InputError(f"--only {part}: there are only {', '.join(sorted(known))}")
        wanted.setdefault(name, set()).add(value)
    found = [
        run for run in runs if all(run.facts.get(name) in values for name, values in wanted.items())
    ]
    if not found:
        raise InputError(f"--only {only}: no run of the study is all of that")
    return found


def _varies(runs: Sequence[Task], fact: str) -> bool:
    """Whether all runs have the fact, and not the same."""
    return len({run.facts.get(fact) for run in runs} - {None}) > 1 and all(
        fact in run.facts for run in runs
    )
