"""Selection: the part of a study's runs that `--only scale=0.04M,seed=0` names."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from formatlab.errors import InputError
from formatlab.models.scale import LADDER
from formatlab.study.stage_run import StageRun

_ALWAYS = ("scale", "seed", "algorithm")
"""Axes that every study has."""
_OWN = (*_ALWAYS, "chain")
"""Facts that determine most others (the scale sets the learning rate, the chain its schedule), so
those are not listed as axes."""


def selected(runs: Sequence[StageRun], only: Sequence[str]) -> Sequence[StageRun]:
    """The runs that match every fact named; several values of one fact match any of them.

    Args:
        runs: of a study.
        only: texts of one or more `fact=value` with commas between; what has no `=` belongs to the
            value before, as values may hold commas. None for all runs.

    Raises:
        InputError: no run has such a fact, or none is left.
    """
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for name, value in _parts(runs, only):
        known = {run.selectors[name] for run in runs if name in run.selectors}
        if not known:
            raise InputError(
                f"--only {name}={value}: no run has the fact {name}; {_facts_words(runs)}"
            )
        found = {one for one in known if _same(one, value)}
        if not found:
            between = "; " if any("," in one for one in known) else ", "
            there = between.join(sorted(known, key=_rank))
            raise InputError(f"--only {name}={value}: there are only {there}")
        wanted[name] |= found
    left = [
        run
        for run in runs
        if all(run.selectors.get(name) in values for name, values in wanted.items())
    ]
    if not left:
        raise InputError(f"--only {' --only '.join(only)}: no run of the study is all of that")
    return left


def _parts(runs: Sequence[StageRun], only: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Fact and value of each part."""
    for text in only:
        found: list[tuple[str, str]] = []
        for part in filter(None, map(str.strip, text.split(","))):
            name, equals, value = (word.strip() for word in part.partition("="))
            if equals:
                found.append((name.replace("-", "_"), value))
            elif found:
                name, value = found.pop()
                found.append((name, f"{value}, {part}"))
            else:
                raise InputError(f"--only {part}: {_facts_words(runs)}")
        yield from found


def _facts_words(runs: Sequence[StageRun]) -> str:
    return f"runs are selected by fact=value, and the facts here are {', '.join(_axes(runs))}"


def _axes(runs: Sequence[StageRun]) -> list[str]:
    """The facts that runs differ in by themselves, and not because of their scale or chain."""
    named = dict.fromkeys(fact for run in runs for fact in run.selectors)
    axes = [fact for fact in _ALWAYS if fact in named]
    axes += ["chain"] * ("chain" in named and _differs(runs, "chain", _ALWAYS))
    return axes + sorted(fact for fact in named if fact not in _OWN and _differs(runs, fact, _OWN))


def _differs(runs: Sequence[StageRun], fact: str, among: Sequence[str]) -> bool:
    """Whether runs that are alike in some facts are not in this one."""
    found: defaultdict[tuple[str | None, ...], set[str | None]] = defaultdict(set)
    for run in runs:
        found[tuple(run.selectors.get(name) for name in among)].add(run.selectors.get(fact))
    return any(len(values) > 1 for values in found.values())


def _same(known: str, value: str) -> bool:
    """Whether two values are one: numbers by what they are, all else by how it is written."""
    numbers = _number(known), _number(value)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return re.sub(r"\s*,\s*", ", ", known) == value


def _rank(value: str) -> tuple[int, float, str]:
    """Scales as on the ladder, then numbers, then words."""
    if value in LADDER:
        return 0, list(LADDER).index(value), value
    number = _number(value)
    return (2, 0.0, value) if number is None else (1, number, value)


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
