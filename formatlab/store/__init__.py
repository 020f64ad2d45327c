"""Runs on disk: one typed class reads and writes everything in a run folder."""

from formatlab.store.rollout import ROLLOUT_SCHEMA, SCHEMA_VERSION, Rollout, Split
from formatlab.store.run_folder import RunFolder

__all__ = ["ROLLOUT_SCHEMA", "SCHEMA_VERSION", "Rollout", "RunFolder", "Split"]
