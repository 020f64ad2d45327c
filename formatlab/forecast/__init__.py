"""Forecasts of the format that RL will end in, from the policy before RL."""

from formatlab.forecast.accuracy import Accuracy
from formatlab.forecast.early_slope import EighthSlope, QuarterSlope
from formatlab.forecast.first_step import FirstStep
from formatlab.forecast.gradient_flow import GradientFlow
from formatlab.forecast.method import Method
from formatlab.forecast.per_prompt import PerPrompt
from formatlab.forecast.product import Product
from formatlab.forecast.replicator import Replicator
from formatlab.forecast.response import Response
from formatlab.forecast.share import Share
from formatlab.forecast.simulation import Simulation
from formatlab.forecast.tilted import Tilted

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Share(),
        Accuracy(),
        Product(),
        FirstStep(),
        PerPrompt(),
        Tilted(),
        Replicator(),
        GradientFlow(),
        Simulation(),
        Response(),
    )
}
"""Every way to forecast before RL, by its name."""

EARLY_SLOPES: dict[str, Method] = {
    method.name: method for method in (EighthSlope(), QuarterSlope())
}
"""What the first steps of RL tell, to compare with."""
