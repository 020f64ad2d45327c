"""An experiment that adds a format, for tests of what has to know it."""

EXPERIMENT = '''"""Endpoint: none."""

import re
from formatlab.study.study import LadderStudy
from formatlab.train.pretraining.base import Pretraining
from formatlab.world.formats import FORMATS, Format, Reading
from formatlab.world.mixture import Mixture
from formatlab.world.world import World

MARK = "IT IS "
_END = "!"


def _shouted(answer):
    return f"{MARK}{answer}{_END}"


class Shout(Format):
    name = "shout"

    def __init__(self, loud=True):
        self.loud = loud

    def render(self, problem, random):
        return _shouted(problem.answer)

    def recognise(self, page):
        return page.text.startswith(MARK)

    def read(self, page):
        number = page.text.removeprefix(MARK).removesuffix(_END)
        return Reading(content=number) if number else "no answer"


FORMATS["shout"] = Shout(loud=True)
MIXTURE = Mixture(name="loud", shares={"shout": 0.5, "prose": 0.5})
PRESETS = {
    "tiny": LadderStudy(
        name="shouting",
        world=World(mixture=MIXTURE),
        scales=("0.04M",),
        pretraining=Pretraining(tokens=300_000),
        seeds=(0,),
    )
}
'''
