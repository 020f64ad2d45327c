"""The formats of the controlled world, one file each."""

from formatlab.world.formats.direct import Direct
from formatlab.world.formats.format import Format, Reading
from formatlab.world.formats.json import Json
from formatlab.world.formats.latex import Latex
from formatlab.world.formats.program import Program
from formatlab.world.formats.prose import Prose
from formatlab.world.formats.tool import Tool

FORMATS: dict[str, Format] = {
    form.name: form for form in (Program(), Tool(), Prose(), Latex(), Json(), Direct())
}
"""Every format by its name."""

__all__ = ["FORMATS", "Format", "Reading"]
