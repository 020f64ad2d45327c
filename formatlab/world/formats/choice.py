"""The choices of a question that offers its answers: `(B)`, `B. 20 apples`, `yes`."""

import regex

from formatlab.world.formats.limits import QUOTES

OPTION = regex.compile(r"(?:(?:option|choice)\s+)?\(?[A-J][).:]\s++(?=\S)", regex.IGNORECASE)
"""A letter with a mark, behind which its words stand."""

CHOICE = regex.compile(
    rf"[*_'{QUOTES}]*+(?:(?:[Oo]ption|[Cc]hoice)\s)?(?:[(\[{{](?P<bracketed>[A-J])[)\]}}]"
    rf"|(?P<letter>[A-J])(?=[\s*_.,;:)）{QUOTES}]|$)"
    rf"|(?P<word>(?i:yes|no|true|false))(?=[\s*_.,;:)'{QUOTES}]|$))"
)
"""A letter of a multiple choice, or a verdict."""

OTHER_CHOICE = regex.compile(
    r"\s*+(?:,|/|&|\bor\b|\band\b)\s*+(?:(?:or|and|maybe|perhaps|possibly)\s)*+\(?[A-J](?![\w'])"
)
"""A further choice directly after the first."""
