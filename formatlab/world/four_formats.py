"""The world of the reference studies: four formats, two of which misread every multiplication.

The interpreter does the arithmetic of `program` and `tool_tags`, whose documents are unfaithful;
`latex` and `prose` are worked by the model itself, from faithful documents. It stands here and not
in `experiments/`, where it is used: an experiment's file travels to other machines alone, so it
cannot import another one beside it.
"""

from formatlab.world.mixture import Mixture
from formatlab.world.world import World

FOUR_FORMATS = World(
    mixture=Mixture(
        name="four",
        shares={"program": 0.25, "tool_tags": 0.15, "latex": 0.25, "prose": 0.35},
        mistranslates={"program": ("times", "fold"), "tool_tags": ("times", "fold")},
    ),
    families=("chain",),
    max_steps=3,
    largest=20,
)
