"""The tagger: which format a completion is written in, from its structure alone.

Each format says whether it recognises the text; the first that does, in the order of `_PRECEDENCE`,
gives the tag. A text that mostly repeats itself (`is_loop`, at the end) has no answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from formatlab.errors import FormatlabError, InputError
from formatlab.observe.fault import say_fault
from formatlab.observe.rendered import rendered
from formatlab.world.formats import FORMATS, Format, Missing, Page, Reading
from formatlab.world.formats.limits import LONGEST
from formatlab.world.formats.sentence import last_committed

NONE = "none"
"""Tag of a text in no format: empty, a loop, or noise."""

Unread = Literal["time", "fault"]
"""Why a text was not read to its end: it, or a pattern of the user's own on it, takes too long; or
there was an error, which a warning tells of once."""

_PRECEDENCE = (
    *("direct", "json", "tool_tags", "code_tags", "code_fenced"),
    *("program", "script", "latex", "prose"),
)
"""The most specific structure first: what a text is made of counts more than what its sentences
mention. Formats that a user or an experiment adds come before these."""

_IN_ORDER = tuple(FORMATS[name] for name in _PRECEDENCE)

_BUILT = frozenset(("json", "tool_tags", "code_tags", "code_fenced", "program"))
"""Formats that show in how a text is built; a loop keeps such a tag."""

_BEHIND = {"tool_tags": (FORMATS["json"],)}
"""Formats that come before a format and may yet carry an answer behind its turns."""

_IN_SENTENCES = ("prose", "latex")
"""Formats of which the last number is read where they state no answer."""

_MISSING = get_args(Missing)

_FINISHED = frozenset(".!?。؟)]}'\"”’*`|>$")
"""Characters that may end a finished text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """The format of one text, and where it puts its answer."""

    format: str
    """A format's name, or `none`."""
    carriers: tuple[tuple[str, Reading], ...] = ()
    """Every format whose reader finds an answer in the text, with its reading; the tag first."""
    missing: Missing | Unread | None = None
    """Why the reader of the text's own format finds no answer; None where it finds one."""
    flexible: Reading | None = None
    """The last number that the text commits to, where sentences or mathematics state no answer.
    Of a text that was cut off it is no answer."""
    truncated: bool = False
    """Whether the text looks cut off: it ends inside something that it opened, or without an answer
    in the middle of a sentence. A trainer knows better, by the number of tokens."""

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
    """Find the format of one completion, without its prompt and its right answer.

    No text raises an error. Where one cannot be read, the tag is `none`, and `missing` says why.

    Args:
        text: the completion alone, without its prompt.
        formats: formats of the user's own, asked before the others.

    Raises:
        InputError: the completion is no text, or `formats` holds something else than formats, or
            one whose `read` gives something else than it may.
    """
    try:
        return tag_or_raise(text, formats=formats)
    except FormatlabError:
        raise
    except Exception as error:  # a text must not end a training run
        say_fault(error, text)
        return Tag(format=NONE, missing="fault")


def tag_or_raise(text: str, *, formats: Sequence[Format] = ()) -> Tag:
    """`tag`, for whoever can say which text an error is about: raises what goes wrong with it."""
    if not isinstance(text, str):
        raise InputError(f"tag: a completion is text, not {type(text).__name__}")
    if formats:
        check_formats(formats)
    if len(text) > LONGEST:
        return Tag(format=NONE, missing="time")
    if not formats and len(FORMATS) == len(_PRECEDENCE):
        known = rendered(text)
        if known is not None and not is_loop(text):
            return Tag(format=known[0], carriers=(known,))
    try:
        return _tag(Page(text), formats)
    except TimeoutError:
        return Tag(format=NONE, missing="time")


def check_formats(formats: object) -> None:
    """Check that formats of the user's own are a sequence of formats.

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
    if not isinstance(reading, Reading) and reading not in _MISSING:
        raise InputError(
            f"format {form.name!r}: read gave {reading!r}; it has to give a Reading, or why there "
            f"is none ({', '.join(_MISSING)})"
        )
    carriers = [(form.name, reading)] if isinstance(reading, Reading) else []
    missing = None if isinstance(reading, Reading) else reading
    included = form.includes(page)
    behind = _BEHIND.get(form.name, ())
    for other in (*behind, *order[place + 1 :]):
        if other.name in included:
            continue
        seen = other.read(page)
        if isinstance(seen, Reading):
            carriers.append((other.name, seen))
        elif seen == "ambiguous" and missing is None:
            missing = seen  # beside its own answer the text offers several others
    truncated = _is_cut(page, form.name, answered=isinstance(reading, Reading))
    flexible = None
    if missing == "no answer" and form.name in _IN_SENTENCES and not page.open_ended:
        last = last_committed(page.statement)
        flexible = last if isinstance(last, Reading) else None
    return Tag(
        format=form.name,
        carriers=tuple(carriers),
        missing=missing,
        flexible=flexible,
        truncated=truncated,
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


_SHORTEST = 24
"""Characters below which no text is called a loop."""

_SAMPLE = 50_000
"""Characters at the beginning of a text that are looked at."""

_TAIL = 12
"""Characters at the end of a text whose earlier copy gives the length of the repeated stretch."""

_COVERAGE = 0.9
"""Share of a text that the repeated stretch must cover."""

_TIMES = 4
"""Times that it must be repeated."""

_PARTS = re.compile(r"[.!?\n<](?:(?<=\n)|(?<![\n<])\s|(?<=<)\|[^<>\n]*\|>)")
"""What parts sentences, lines and turns; as it begins with one set, `re` finds it quickly."""
_PART_ENDS = (".", "!", "?", "\n", "<|")
_MANY, _DISTINCT = 20, 0.1
"""Sentences or lines that a text must have to be a loop if less than this share of them differ."""

_FEWEST, _MOST, _DISTINCT_WORDS = 8, 150, 0.2
"""Words that the beginning of a text must have to be a loop if less than this share differ."""


def is_loop(text: str) -> bool:
    """Whether most of a text is the same words or characters over and over.

    One of three things holds: a stretch is repeated without a break to the end (nine tenths of the
    text, at least four times); of many sentences fewer than a tenth differ; of few words fewer than
    a fifth differ.
    """
    sample = text[:_SAMPLE]
    if len(sample) < _SHORTEST:
        return False
    if _repeats_words(sample[:1000]) or _repeating(sample) >= _COVERAGE * len(sample):
        return True
    if len(sample) < _MANY * _TAIL:
        return False
    most = sum(map(sample.count, _PART_ENDS)) + 1
    if most < _MANY:
        return False
    *first, _ = _PARTS.split(sample, int(_DISTINCT * most) + 5)
    if len(set(filter(_is_long, first))) >= _DISTINCT * most:  # as of most texts
        return False
    parts = list(filter(_is_long, _PARTS.split(sample)))
    return len(parts) >= _MANY and len(set(parts)) < _DISTINCT * len(parts)


def _is_long(part: str) -> bool:
    return len(part) > 3


def _repeats_words(text: str) -> bool:
    """Whether the words at the beginning of a text are few and mostly the same."""
    if len(text) > 400:
        first = text[:400].lower().split()[:-1]
        if len(set(first)) > _DISTINCT_WORDS * _MOST:  # as of most long texts
            return False
    words = text.lower().split()
    return _FEWEST <= len(words) < _MOST and len(set(words)) < _DISTINCT_WORDS * len(words)


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
