"""The formats, one file each, and what they share in taking a text apart."""

from formatlab.world.formats.code_fenced import CodeFenced
from formatlab.world.formats.code_tags import CodeTags
from formatlab.world.formats.direct import Direct
from formatlab.world.formats.format import Format, Missing, Reading
from formatlab.world.formats.json import Json
from formatlab.world.formats.latex import Latex
from formatlab.world.formats.page import Page
from formatlab.world.formats.program import Program
from formatlab.world.formats.prose import Prose
from formatlab.world.formats.script import Script
from formatlab.world.formats.tool_tags import ToolTags

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Program(),
        Script(),
        CodeTags(),
        CodeFenced(),
        ToolTags(),
        Json(),
        Latex(),
        Prose(),
        Direct(),
    )
}
"""Every format by its name."""

EXECUTED = frozenset({"program", "script", "tool_tags"})
"""Formats that state no answer: an interpreter does their arithmetic. In worked formats, which are
the others, the model does it."""

CODE = EXECUTED | {"code_tags", "code_fenced"}
"""Formats that write code; the last two state its output as well."""

__all__ = ["CODE", "EXECUTED", "FORMATS", "Format", "Missing", "Page", "Reading"]
