"""Observing rollouts: the format of a text, its answer, and whether the answer is right."""
