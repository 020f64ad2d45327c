"""Mixtures: how much of the pretraining corpus each format holds, and how faithful it is.

A mixture can be written as text, for command lines: `half:program=.5/times+fold,prose=.5` is called
`half`, and its programs misread the phrases `times` and `fold`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from formatlab.errors import InputError
from formatlab.world.families import PHRASES
from formatlab.world.formats import FORMATS

FAITHFUL = "none"
"""What stands in place of phrases where none is misread."""

_NAME = re.compile(r"[\w.+ -]*\w")


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Shares of the formats among the pretraining documents.

    Raises:
        InputError: an unknown format or phrase, or shares that do not sum to 1.
    """

    name: str
    """Short name used in run folders and figures."""
    shares: Mapping[str, float]
    """Format -> share of the documents; sums to 1."""
    mistranslates: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Format -> phrase families that its documents always misread (its fidelity)."""

    def __post_init__(self) -> None:
        """Check names and shares."""
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"mixture {self.name!r}: its name is part of folders' names; take letters, digits, "
                "'.', '_', '+', '-' and spaces, with a letter or digit at the end"
            )
        for name in (*self.shares, *self.mistranslates):
            if name not in FORMATS:
                raise InputError(
                    f"mixture {self.name!r}: unknown format {name!r}; "
                    f"known formats: {', '.join(FORMATS)}"
                )
        for name, share in self.shares.items():
            if not 0 <= share <= 1:
                raise InputError(
                    f"mixture {self.name!r}: the share of {name} is {share}, not between 0 and 1"
                )
        total = math.fsum(self.shares.values())
        if not math.isclose(total, 1, abs_tol=1e-6):
            listed = ", ".join(f"{name} {share:g}" for name, share in self.shares.items())
            raise InputError(f"mixture {self.name!r}: shares sum to {total:g}, not to 1 ({listed})")
        known = {phrase for phrases in PHRASES.values() for phrase in phrases}
        for name, phrases in self.mistranslates.items():
            for phrase in phrases:
                if phrase not in known:
                    raise InputError(
                        f"mixture {self.name!r}: {name} mistranslates {phrase!r}, which is no "
                        f"phrase family; known: {', '.join(sorted(known))}"
                    )

    def __str__(self) -> str:
        """The mixture as text that `read` reads."""
        parts = [
            f"{form}={share!r}/{'+'.join(self.mistranslates.get(form, ())) or FAITHFUL}"
            for form, share in self.shares.items()
        ]
        return f"{self.name}:{','.join(parts)}"

    @classmethod
    def read(cls, text: str, own: Self) -> Self:
        """Read a mixture that is written as text.

        Args:
            text: formats with their shares, as in `program=.5,prose=.5`. Behind `/` stand the
                phrases that a format misreads, with + between, or none; before `:` the name, which
                else is made of all of it.
            own: the mixture of the study, whose phrases a format misreads that has no `/`.

        Raises:
            InputError: it is no mixture.
        """
        shares: dict[str, float] = {}
        misread: dict[str, tuple[str, ...]] = {}
        name, colon, listed = text.rpartition(":")
        words = []
        for part in listed.split(","):
            form, _, rest = part.partition("=")
            share, slash, phrases = rest.partition("/")
            form = form.strip()
            try:
                if form in shares:
                    raise ValueError
                shares[form] = float(share)
            except ValueError:
                raise InputError(
                    f"sweep: {text!r} is no mixture; write formats with their shares, each once, "
                    "as in program=.5,prose=.5 or half:program=.5/times+fold,prose=.5"
                ) from None
            words.append(f"{form}{100 * shares[form]:g}" + f"-{phrases.strip()}" * bool(slash))
            if slash and (told := _phrases(phrases)):
                misread[form] = told
            elif not slash and form in own.mistranslates:
                misread[form] = own.mistranslates[form]
        return cls(
            name=name.strip() if colon else "-".join(words).replace("_", "").replace("+", "-"),
            shares=shares,
            mistranslates=misread,
        )

    def misreading(self, text: str) -> Self:
        """The mixture with other phrases misread, in the formats that misread any.

        Args:
            text: the phrases with + between, or none.

        Raises:
            InputError: no format misreads any.
        """
        if not self.mistranslates:
            raise InputError(
                f"sweep: no format of the mixture {self.name!r} misreads anything, so there is "
                "nothing to vary; name formats and phrases in its mistranslates first"
            )
        phrases = _phrases(text)
        return replace(
            self,
            name=f"{self.name}-{text.replace('+', '-') if phrases else 'faithful'}",
            mistranslates=dict.fromkeys(self.mistranslates, phrases) if phrases else {},
        )


def _phrases(text: str) -> tuple[str, ...]:
    return () if text.strip() == FAITHFUL else tuple(map(str.strip, text.split("+")))
