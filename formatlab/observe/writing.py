"""The script that a text is written in, such as Latin or Chinese, and whether two share it.

A model that is trained on mathematics may come to mix languages, which shows here.
"""

import string
import unicodedata
from collections import defaultdict
from dataclasses import dataclass

import regex

SCRIPTS = {
    "latin": r"\p{Latin}",
    "cjk": r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}",
    "hangul": r"\p{Hangul}",
    "cyrillic": r"\p{Cyrillic}",
    "greek": r"\p{Greek}",
    "arabic": r"\p{Arabic}",
    "hebrew": r"\p{Hebrew}",
    "devanagari": r"\p{Devanagari}",
    "bengali": r"\p{Bengali}",
    "tamil": r"\p{Tamil}",
    "telugu": r"\p{Telugu}",
    "gujarati": r"\p{Gujarati}",
    "thai": r"\p{Thai}",
    "armenian": r"\p{Armenian}",
    "georgian": r"\p{Georgian}",
    "ethiopic": r"\p{Ethiopic}",
}
"""Name of a script -> its letters. Chinese and Japanese are one: they share their characters."""

_LETTER = {name: regex.compile(f"[{letters}]") for name, letters in SCRIPTS.items()}
_NOT_ASCII = regex.compile(r"[^\x00-\x7f]")
_LATIN = regex.compile("[A-Za-z]")
_COMMAND = regex.compile(r"\\[A-Za-z]+|</?[A-Za-z]\w*>|<\|\w+\|>|```\w*")
"""Commands of LaTeX and marks, which are written in Latin letters in every language."""

_LONGEST = 4_000
"""Characters at the beginning of a text that are looked at."""

_SHARED = 0.1
"""Share of the words from which a second script counts."""


_SPACELESS = ("cjk", "thai")
"""Scripts that put no spaces between words."""

_CODES_OF = dict(zip((*SCRIPTS, "other"), string.ascii_uppercase, strict=False))
_NAMES = {code: name for name, code in _CODES_OF.items()}


class _Codes(dict[int, str]):
    """Code point -> a capital letter for its script, which stands alone where words have no spaces.

    Marks above a letter become nothing, and what is no letter a space.
    """

    def __missing__(self, point: int) -> str:
        letter = chr(point)
        name = next((name for name, one in _LETTER.items() if one.match(letter)), "other")
        category = unicodedata.category(letter)[0]
        if category == "M" and name == "other":
            code = ""
        elif category not in "LM":
            code = " "
        else:
            code = f" {_CODES_OF[name]} " if name in _SPACELESS else _CODES_OF[name]
        self[point] = code
        return code


_CODES = _Codes()


@dataclass(frozen=True, slots=True)
class Writing:
    """The script of a text."""

    script: str
    """That of most words: a name of `SCRIPTS`, `other`, or empty for a text without letters."""
    mixed: bool = False
    """Whether a second script has a tenth of the words or more."""


def writing(text: str) -> Writing:
    """The script of a text; commands of LaTeX, tags and single letters do not count."""
    text = text[:_LONGEST]
    if text.isascii() or not any(map(str.isalpha, _NOT_ASCII.findall(text))):
        return Writing("latin" if _LATIN.search(text) else "")
    shares = script_shares(text)
    if not shares:
        return Writing("")
    (first, _), *others = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    return Writing(first, bool(others) and others[0][1] >= _SHARED)


def script_shares(text: str) -> dict[str, float]:
    """The share of a text's words in each script that it has; they sum to 1.

    Chinese, Japanese and Thai put no spaces between words, so two of their characters count as one
    word. In other scripts a word is a run of two letters or more.

    Args:
        text: its first 4,000 characters are looked at.
    """
    words: defaultdict[str, float] = defaultdict(float)
    for run in _COMMAND.sub(" ", text[:_LONGEST]).translate(_CODES).split():
        name = _NAMES[run[0]]
        if name in _SPACELESS:
            words[name] += 0.5
        elif len(run) > 1:
            words[name] += 0.5 if len(run) == 2 else 1.0
    total = sum(words.values())
    return {script: number / total for script, number in words.items()} if total else {}
