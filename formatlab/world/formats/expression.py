r"""An expression that stands directly behind a mark: `3x + 2y = 7`, `(3, 4)`, `\sqrt{2}`."""

import regex

from formatlab.world.formats.limits import QUOTES, WIDE_COLON

_EXPRESSION = regex.compile(
    rf"[\s:{WIDE_COLON}*_`{QUOTES}]*+(?P<inside>"
    r"(?:[\d\s+\-*/^_=<>≤≥≠±∪∩(){}\[\],|!%·×÷√π∞−–°²³⁴′:;]|\.(?=\d)|\\[,;:! {}()\[\]$]"
    r"|\\mathrm\s*\{~?[^{}\n]{1,30}\}|\\[A-Za-z]++|(?<=\d)[a-zA-Z]{1,2}(?![A-Za-z])"
    r"|(?<![A-Za-z])(?:log|ln|sin|cos|tan|sqrt|pi|exp|[a-zA-Z])(?![A-Za-z]))++)"
)
"""Signs, numbers, single letters and commands, without words: an expression behind a mark."""

_STRUCTURED = regex.compile(
    r"[<>≤≥≠±√^π∞]|\d\s*[×·*]\s*\d+\s*[×·*]\s*\d|\\(?!\$|[dt]?frac\{-?\d+\}\{\d+\}|text"
    r"|[()\[\]]|boxed|fbox)[A-Za-z]"
    r"|\d\s+:\s+\d|\d\s*[a-zA-Z]\b|\b[a-zA-Z]\s*[-+*/(]|[\[(]\s*[-\\\w.]+\s*,.*[\])]"
    r"|\{\s*[-\w.]+\s*,.*\}"
    r"|\b(?:log|ln|sin|cos|tan|sqrt|pi)(?![A-Za-z])|\|[^|\n]{0,40}[-+][^|\n]{0,40}\|"
)
"""What makes signs and numbers more than a number with its calculation."""

_SEVERAL_TERMS = regex.compile(r"\d\s*[a-zA-Z]|[a-zA-Z]\s*[-+*/^(]|[<>≤≥]")
"""What makes the left side of an equation more than a name or a calculation."""
_TIMES = regex.compile(r"(?<=\d\s*)[xX](?=\s*\$?\d)")


def expression(rest: str) -> str:
    """The expression that stands directly behind a mark; empty where it is a number or words."""
    match = _EXPRESSION.match(rest)
    if match is None or not _STRUCTURED.search(_TIMES.sub("*", match["inside"])):
        return ""
    after = rest[match.end() :].lstrip("$*_`). ")
    if after and after[0].isalnum():
        return ""
    inside = match["inside"].strip().strip("*_`,;:").strip()
    inside = inside.removesuffix("\\)").removeprefix("\\(")
    left, equals, _ = inside.rpartition("=")
    if equals and not _SEVERAL_TERMS.search(_TIMES.sub("*", left)):
        return ""  # the name of the answer, or its calculation
    if "box" in inside:
        return ""
    return inside.strip()
