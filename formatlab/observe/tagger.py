"""Texts that run in circles.

The tagger: which format a completion is written in, from its structure alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import regex

from formatlab.errors import InputError
from formatlab.world.formats import FORMATS, Format, Missing, Page, Reading

_SHORTEST = 24
"""Characters below which nothing is called a loop."""

_SAMPLE = 50_000
"""Characters that the judgement rests on."""

_TAIL = 12
"""Characters at the end of which an earlier copy is looked for."""

_COVERAGE = 0.9
"""Share of a text that has to repeat, and at least..."""

_TIMES = 4
"""...so many times."""

_PARTS = regex.compile(r"[.!?]\s|\n|<\|[^<>\n]*\|>")
_MANY, _DISTINCT = 20, 0.1
"""Sentences or lines from which a text is a loop if no more than this share of them differ."""


def is_loop(text: str) -> bool:
    """Whether most of a text is the same words or characters over and over.

    Either one stretch of it comes again and again without a break to the end (nine tenths of the
    text, four times), or fewer than a tenth of its many sentences differ, or than a fifth of its
    few words.
    """
    sample = text[:_SAMPLE]
    if len(sample) < _SHORTEST:
        return False
    words = sample[:1000].lower().split()
    if 8 <= len(words) < 150 and len(set(words)) < 0.2 * len(words):
        return True
    if _repeating(sample) >= _COVERAGE * len(sample):
        return True
    if len(sample) < _MANY * _TAIL:
        return False
    parts = [part for part in _PARTS.split(sample) if len(part) > 3]
    return len(parts) >= _MANY and len(set(parts)) < _DISTINCT * len(parts)


def _repeating(text: str) -> int:
    """Characters at the end of a text that are one stretch repeated; 0 if fewer than four times."""
    end = len(text)
    before = text.rfind(text[-_TAIL:], 0, end - 1)
    if before < 0:
        return 0
    period = end - _TAIL - before
    low, high = 0, end - period  # the smallest start from which the text has that period
    while low < high:
        middle = (low + high) // 2
        if text[middle : end - period] == text[middle + period :]:
            high = middle
        else:
            low = middle + 1
    length = end - low
    return length if length >= _TIMES * period else 0


NONE = "none"
"""Tag of a text in no format: empty, a loop, or noise."""

_PRECEDENCE = (
    *("direct", "json", "tool_tags", "code_tags", "code_fenced"),
    *("program", "script", "latex", "prose"),
)
"""Most specific structure first: what a text is made of beats what its sentences mention. Formats
that a user or an experiment adds come before these, since they know what they look for."""

_IN_ORDER = tuple(FORMATS[name] for name in _PRECEDENCE)

_BUILT = frozenset(("json", "tool_tags", "code_tags", "code_fenced", "program"))
"""Formats that a text is in by how it is built, even where it runs in circles."""

_FINISHED = frozenset(".!?。؟)]}'\"”’*`|>$")
"""Characters that may end a finished text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """What the tagger says of one text."""

    format: str
    """A format's name, or `none`."""
    carriers: tuple[tuple[str, Reading], ...] = ()
    """Every format that carries an answer in the text, with its reading; the text's own first."""
    missing: Missing | None = None
    """Why the text's own format gives no answer; None where it gives one."""
    truncated: bool = False
    """Whether the text by its structure was cut off: it ends inside something it opened, or with
    no answer in the middle of a sentence. A trainer knows better, by the tokens."""

    @property
    def reading(self) -> Reading | None:
        """Where the text's own format puts the answer; None where the text is not well formed."""
        return None if self.missing else self.carriers[0][1]

    @property
    def well_formed(self) -> bool:
        """Whether the format's own reader finds an answer."""
        return self.missing is None

    @property
    def mixed_formats(self) -> tuple[str, ...]:
        """The formats that carry an answer, where they are two or more."""
        names = tuple(name for name, _ in self.carriers)
        return names if len(names) > 1 else ()

    @property
    def mixed(self) -> bool:
        """Whether two formats or more carry an answer."""
        return len(self.carriers) > 1


def tag(text: str, *, formats: Sequence[Format] = ()) -> Tag:
    """Classify one completion. Neither the prompt nor the right answer plays a part.

    A text over which a pattern runs out of time is in no format.

    Args:
        text: the completion alone, without its prompt.
        formats: formats of the user's own, asked before the others.

    Raises:
        InputError: what is given is no text, or what should be formats are none.
    """
    if not isinstance(text, str):
        raise InputError(f"tag: a completion is text, not {type(text).__name__}")
    if formats:
        check_formats(formats)
    try:
        return _tag(Page(text), formats)
    except TimeoutError:
        return Tag(format=NONE, missing="no answer")


def check_formats(formats: object) -> None:
    """See that formats of the user's own are a sequence of formats.

    Raises:
        InputError: they are not.
    """
    if not isinstance(formats, Sequence) or not all(isinstance(f, Format) for f in formats):
        raise InputError(
            "formats: give a list of instances of Format, such as [MyFormat()]; "
            "formatlab.observe.own_formats.own_formats(path) reads them from a file"
        )


def _tag(page: Page, own: Sequence[Format]) -> Tag:
    if not page.text:
        return Tag(format=NONE, missing="no answer")
    order = _IN_ORDER
    if own or len(FORMATS) > len(_PRECEDENCE):
        known = (*_PRECEDENCE, *(form.name for form in own))
        added = [form for name, form in FORMATS.items() if name not in known]
        order = (*own, *added, *_IN_ORDER)
    place, form = next(
        ((i, form) for i, form in enumerate(order) if form.recognise(page)), (0, None)
    )
    if form is None:
        return Tag(format=NONE, missing="no answer")
    if is_loop(page.text):
        kept = form.name if form.name in _BUILT else NONE
        return Tag(format=kept, missing="no answer", truncated=True)
    reading = form.read(page)
    if not isinstance(reading, Reading) and reading not in get_args(Missing):
        raise InputError(
            f"format {form.name!r}: read gave {reading!r}; it has to give a Reading, or why there "
            f"is none ({', '.join(get_args(Missing))})"
        )
    carriers = [(form.name, reading)] if isinstance(reading, Reading) else []
    included = form.includes(page)
    for other in order[place + 1 :]:
        if other.name not in included and isinstance(seen := other.read(page), Reading):
            carriers.append((other.name, seen))
    return Tag(
        format=form.name,
        carriers=tuple(carriers),
        missing=None if isinstance(reading, Reading) else reading,
        truncated=_is_cut(page, form.name, answered=isinstance(reading, Reading)),
    )


def _is_cut(page: Page, form: str, *, answered: bool) -> bool:
    if page.open_ended:
        return True
    if answered:
        return False
    if form in ("program", "script"):
        snippet = page.session or page.snippet
        return snippet is not None and not snippet.complete
    if form == "json":
        return not page.text.endswith(("}", "]", "`"))
    return page.text[-1] not in _FINISHED
