"""A text as its sentences are read: without comments, and with ASCII's digits and minus signs."""

import regex

from formatlab.world.formats.limits import limit

_COMMENT = regex.compile(r"<!--.*?(?:-->|\Z)|/\*[^*]*+\*/", regex.DOTALL)
_COMMENT_LINE = regex.compile(r"^(?:%|//)[^\n]*+", regex.MULTILINE)
"""A line that is a comment of TeX, or of a language of programs."""
_DASHES = "\N{EN DASH}\N{EM DASH}\N{FULLWIDTH HYPHEN-MINUS}\N{SMALL HYPHEN-MINUS}\N{FIGURE DASH}"
_DASH = regex.compile(
    rf"(?:(?<!(?:(?![\p{{Han}}\p{{Hiragana}}\p{{Katakana}}\p{{Hangul}}])\p{{L}}|[\d)\]}}$%])[ ]?)"
    rf"|(?<=\b(?:is|be|was|=|:)\s))[{_DASHES}][ ]?(?=\\?[$€£]?\d)"
)
"""A dash that is typed for a minus sign."""

_FOREIGN_DIGIT = regex.compile(r"(?![0-9])\p{Nd}")
_SCRIPTS = tuple(
    (zero, regex.compile(letters))
    for zeros, letters in (
        ((0x0660, 0x06F0), r"(?=\p{L})\p{Arabic}"),
        ((0x0966,), r"(?=\p{L})\p{Devanagari}"),
        ((0x09E6,), r"(?=\p{L})\p{Bengali}"),
        ((0x0A66,), r"(?=\p{L})\p{Gurmukhi}"),
        ((0x0AE6,), r"(?=\p{L})\p{Gujarati}"),
        ((0x0BE6,), r"(?=\p{L})\p{Tamil}"),
        ((0x0C66,), r"(?=\p{L})\p{Telugu}"),
        ((0x0CE6,), r"(?=\p{L})\p{Kannada}"),
        ((0x0D66,), r"(?=\p{L})\p{Malayalam}"),
        ((0x0E50,), r"(?=\p{L})\p{Thai}"),
        ((0x1040,), r"(?=\p{L})\p{Myanmar}"),
        ((0x17E0,), r"(?=\p{L})\p{Khmer}"),
        ((0xFF10,), r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]"),
    )
    for zero in zeros
)
"""Digits that a language uses, by their zero, and the letters that show this language."""


_FONT = regex.compile(r"\\(?:text|math)(?:bf|it|rm|sf|tt)?\s*\{([^{}]*)\}")
_TAG = regex.compile(r"</?[a-zA-Z]{1,6}>")
_FACES = regex.compile(
    r"[\s*]*+(?:(?!°)\p{So}|[\N{VARIATION SELECTOR-16}\N{ZERO WIDTH JOINER}]"
    r"|[\U0001F3FB-\U0001F3FF]|[:;]-?[)DP](?!\w))"
)
"""Emoji and smileys."""


def plain_text(text: str) -> str:
    """A text without comments, with ASCII's digits and minus signs where it means these."""
    if "<!--" in text or "/*" in text:
        text = _COMMENT.sub(" ", text, timeout=limit(text))
    if text[:1] in "%/" or "\n%" in text or "\n//" in text:
        text = _COMMENT_LINE.sub("", text, timeout=limit(text))
    if text.isascii():
        return text
    text = _DASH.sub("-", text, timeout=limit(text))
    if not _FOREIGN_DIGIT.search(text, timeout=limit(text)):
        return text
    for zero, letters in _SCRIPTS:
        if any(chr(zero + n) in text for n in range(10)) and letters.search(text):
            text = text.translate({zero + n: str(n) for n in range(10)})
    return text.replace("٫", ".").replace("٬", ",") if "٫" in text or "٬" in text else text


def unadorned(line: str) -> str:
    """A line without tags, fonts and smileys."""
    if "<" in line:
        line = _TAG.sub("", line)
    if "\\text" in line or "\\math" in line:
        line = _FONT.sub(r"\1", line)
    if ":" in line or ";" in line or not line.isascii():
        line = _FACES.sub("", line)
    return line
