"""A text as it is read: without comments, and with ASCII's digits and minus signs."""

import re
import unicodedata

import regex

_UNSEEN = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
"""A comment of HTML, which leaves nothing where it stands."""
_COMMENT = re.compile(r"/\*[^*]*\*/")
_COMMENT_LINE = re.compile(r"^(?:%|//)[^\n]*", re.MULTILINE)
"""A line that is a comment of TeX, or of a language of programs."""

_DASHES = "\N{EN DASH}\N{EM DASH}\N{FULLWIDTH HYPHEN-MINUS}\N{SMALL HYPHEN-MINUS}\N{FIGURE DASH}"
_DASH = regex.compile(
    rf"(?:(?<!(?:(?![\p{{Han}}\p{{Hiragana}}\p{{Katakana}}\p{{Hangul}}])\p{{L}}|[\d)\]}}$%])[ ]?)"
    rf"|(?<=\b(?:is|be|was|=|:)\s))[{_DASHES}][ ]?(?=\\?[$€£]?\d)"
)
"""A dash that is typed for a minus sign."""

_LETTERS = {
    ord(zero): regex.compile(rf"(?=\p{{L}})[{letters}]")
    for zeros, letters in (
        ("\u0660\u06f0", r"\p{Arabic}"),
        ("\u0966", r"\p{Devanagari}"),
        ("\u09e6", r"\p{Bengali}"),
        ("\u0a66", r"\p{Gurmukhi}"),
        ("\u0ae6", r"\p{Gujarati}"),
        ("\u0b66", r"\p{Oriya}"),
        ("\u0be6", r"\p{Tamil}"),
        ("\u0c66", r"\p{Telugu}"),
        ("\u0ce6", r"\p{Kannada}"),
        ("\u0d66", r"\p{Malayalam}"),
        ("\u0e50", r"\p{Thai}"),
        ("\u0ed0", r"\p{Lao}"),
        ("\u0f20", r"\p{Tibetan}"),
        ("\u1040", r"\p{Myanmar}"),
        ("\u17e0", r"\p{Khmer}"),
        ("\u1810", r"\p{Mongolian}"),
        ("\uff10", r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}"),
    )
    for zero in zeros
}
"""The letters of the languages that write their numbers in other digits, by the zero of these."""
_MARKS = {ord("\u066b"): ".", ord("\u066c"): ","}
"""The decimal mark and the mark between thousands that go with Arabic digits."""


def latin_digits(text: str) -> str:
    """The text with 0 to 9 in place of the digits of other scripts that a language in it uses.

    A text in English has no use for Thai digits, and keeps them: they state no number. The length
    of the text stays.
    """
    if text.isascii():
        return text
    digits = {ord(letter) for letter in set(text) if not letter.isascii() and letter.isdecimal()}
    if not digits:
        return text
    values = {digit: unicodedata.digit(chr(digit)) for digit in digits}
    used = {
        zero
        for zero in {digit - value for digit, value in values.items()}
        if zero in _LETTERS and _LETTERS[zero].search(text)
    }
    table = {digit: str(value) for digit, value in values.items() if digit - value in used}
    return text.translate(_MARKS | table) if table else text


_FONT = regex.compile(r"\\(?:text|math)(?:bf|it|rm|sf|tt)?\s*\{([^{}]*)\}")
_TAG = regex.compile(r"</?[a-zA-Z]{1,6}>")
_FACE = regex.compile(
    r"(?!°)\p{So}|[\N{VARIATION SELECTOR-16}\N{ZERO WIDTH JOINER}]"
    r"|[\U0001F3FB-\U0001F3FF]|[:;]-?[)DP](?!\w)"
)
"""An emoji or a smiley."""
_FACES = regex.compile(rf"[\s*]*+(?:{_FACE.pattern})")


def without_comments(text: str) -> str:
    """A text without its comments: nobody who reads it sees what they say."""
    if "<!--" in text:
        text = _UNSEEN.sub("", text)
    if "/*" in text:
        text = _COMMENT.sub(" ", text)
    if text.startswith(("%", "//")) or "\n%" in text or "\n//" in text:
        text = _COMMENT_LINE.sub("", text)
    return text


def minus_signs(text: str) -> str:
    """A text with ASCII's minus sign in place of the dashes that are typed for it."""
    if text.isascii() or not any(map(text.__contains__, _DASHES)):
        return text
    return _DASH.sub("-", text)


def unadorned(line: str) -> str:
    """A line without tags, fonts and smileys."""
    if "<" in line:
        line = _TAG.sub("", line)
    if "\\text" in line or "\\math" in line:
        line = _FONT.sub(r"\1", line)
    if (":" in line or ";" in line or not line.isascii()) and _FACE.search(line):
        line = _FACES.sub("", line)
    return line
