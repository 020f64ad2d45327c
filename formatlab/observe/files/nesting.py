"""Nesting: rows that hold several rollouts in lists, each rollout taken out as a row of its own.

Samples may be texts, with lists of scores beside them (`{"code": ["5", "6"], "score": [1, 0]}`), or
objects (`{"gold": "5", "rollouts": [{"text": "5"}, {"text": "6"}]}`), and lists may be in lists
(`{"datasets": [{"name": "sums", "results": [{"completions": [...]}]}]}`).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from formatlab.observe.files.completion import is_chat
from formatlab.observe.files.rows import Row, value_at

_NUMBERED = re.compile(r"\d+(?:\.\d+)?")
_LOG_LIKELIHOOD = re.compile(r"(?:-?\d[\d.]*(?:e[-+]?\d+)?|-inf|nan)", re.IGNORECASE)

OUTER = "outer."
"""Stands before the name of a field that a list's item has as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nesting:
    """The lists in which the rollouts of a row are."""

    lists: tuple[str, ...] = ()
    """Columns, the outermost first; without any a row is one rollout."""
    beside: tuple[str, ...] = ()
    """Lists that go along with the last one: their item i belongs to rollout i."""

    def rollouts(self, row: Row) -> Iterator[tuple[Row, int]]:
        """The rollouts of a row as rows, each with its place in the innermost list, from 0.

        A row that has no such list is one rollout, one whose list is empty is none.
        """
        if not self.lists:
            yield row, 0
            return
        yield from self._below(row, self.lists)

    def _below(self, row: Row, lists: tuple[str, ...]) -> Iterator[tuple[Row, int]]:
        column, *rest = lists
        value = value_at(row, column)
        items = [] if value == [] else samples_in(value)
        if items is None:
            yield row, 0
            return
        for place, item in enumerate(items):
            inner = taken_out(row, column, item)
            if rest:
                yield from self._below(inner, tuple(rest))
            else:
                yield self._with_its_own(inner, place, len(items)), place

    def _with_its_own(self, row: Row, place: int, n: int) -> Row:
        own = {
            name: row[name][place]
            for name in self.beside
            if isinstance(row.get(name), list) and len(row[name]) == n
        }
        return {**row, **own}


ONE_ROLLOUT = Nesting()
"""That of rows which are rollouts themselves."""


def samples_in(value: object) -> Sequence[Any] | None:
    """The rollouts that a value holds: texts, chats or objects in a list; None if it is no list.

    A chat is one rollout. Lists of lists are those of lm-evaluation-harness, a list of samples for
    each request; `choices` are those of an answer of the Chat Completions API, which its batches
    keep in a `body`; lighteval has a list in `text`, and SkyThought objects by the numbers of their
    samples or by their temperatures.
    """
    if isinstance(value, Mapping):
        if value and all(_NUMBERED.fullmatch(str(key)) for key in value):
            return samples_in(list(value.values()))
        inner = next((value[name] for name in ("choices", "body", "text") if name in value), None)
        return samples_in(inner) if isinstance(inner, list | Mapping) else None
    if not isinstance(value, list) or not value or is_chat(value):
        return None
    if all(isinstance(item, str | Mapping) for item in value):
        return value
    if not all(isinstance(item, list) and item for item in value):
        return None
    if all(is_chat(item) for item in value):
        return value
    if is_log_likelihood(value):
        return None
    texts = [text for item in value for text in item]
    return texts if all(isinstance(text, str) for text in texts) else None


def is_log_likelihood(value: object, depth: int = 3) -> bool:
    """Whether a value holds scores of given texts, as lm-evaluation-harness writes them.

    They are pairs of a log-likelihood and whether the text is the likeliest, in lists, also with
    both as text: `[[-2.5, false]]`, `[[["-2.5", "False"]], [["-3.0", "True"]]]`.

    Args:
        value: anything.
        depth: lists within lists that are looked through.
    """
    if not isinstance(value, list) or not value or not depth:
        return False
    if len(value) == 2 and str(value[1]) in ("True", "False") and not isinstance(value[0], list):
        return _LOG_LIKELIHOOD.fullmatch(str(value[0])) is not None
    return all(is_log_likelihood(item, depth - 1) for item in value)


def taken_out(row: Row, column: str, item: object) -> Row:
    """The row of one item of a list, with the fields of the row that the list is in."""
    if not isinstance(item, Mapping):
        return {**row, column: item}
    merged = {str(name): value for name, value in item.items()}
    for name, value in row.items():
        if name != column:
            kept = name
            while kept in merged:
                kept = OUTER + kept
            merged[kept] = value
    return merged


def lists_beside(rows: Sequence[Row], column: str) -> tuple[str, ...]:
    """The lists that have as many items as a column of samples has, in every row that has both."""
    together: dict[str, bool] = {}
    for row in rows:
        samples = samples_in(value_at(row, column))
        for name, value in row.items() if samples is not None else ():
            if name != column and isinstance(value, list):
                same = len(value) == len(samples or ()) and not is_chat(value)
                together[name] = together.get(name, True) and same
    return tuple(name for name, same in together.items() if same)
