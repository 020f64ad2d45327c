"""The run folder: one typed class writes and reads everything in it."""

from formatlab.store.rollout import ROLLOUT_SCHEMA, SCHEMA_VERSION, Rollout, Split
from formatlab.store.run_folder import RunFolder

__all__ = ["ROLLOUT_SCHEMA", "SCHEMA_VERSION", "Rollout", "RunFolder", "Split"]
