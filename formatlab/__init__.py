"""A laboratory for which output format survives correctness-only reinforcement learning."""

__version__ = "0.1.0"
