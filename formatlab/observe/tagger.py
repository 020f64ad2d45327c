"""The tagger: which format a completion is written in, from its structure alone."""

from dataclasses import dataclass

from formatlab.world.formats import FORMATS, Reading

NONE = "none"
"""Tag of a text in no format: empty, a loop, or noise."""

_PRECEDENCE = ("direct", "json", "tool", "program", "latex", "prose")
"""Most specific structure first: what a text is made of beats what its sentences mention. Formats
that an experiment adds come before these, since it knows what it looks for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tag:
    """What the tagger says of one text."""

    format: str
    """A format's name, or `none`."""
    reading: Reading | None
    """Where that format puts the answer; None where the text is not well formed."""
    mixed: bool
    """Whether a second format carries an answer too."""

    @property
    def well_formed(self) -> bool:
        """Whether the format's own reader finds an answer."""
        return self.reading is not None


def tag(text: str) -> Tag:
    """Classify one completion. Neither the prompt nor the right answer plays a part.

    A text over which a pattern runs out of time is in no format.
    """
    try:
        return _tag(text)
    except TimeoutError:
        return Tag(format=NONE, reading=None, mixed=False)


def _tag(text: str) -> Tag:
    added = (name for name in FORMATS if name not in _PRECEDENCE)
    recognised = [name for name in (*added, *_PRECEDENCE) if FORMATS[name].recognise(text)]
    if not recognised:
        return Tag(format=NONE, reading=None, mixed=False)
    readings = [FORMATS[name].read(text) for name in recognised]
    carrying = sum(reading is not None for reading in readings)
    return Tag(format=recognised[0], reading=readings[0], mixed=carrying > 1)
