"""Moments: when a study is broken. Each is the writing of a file, or a time."""

from pathlib import Path
from random import Random

from tests.faults.planted_faults import Strike, Target

BASE, RUN = r"/bases/[^/]+", r"/small/[^/]+"

WRITTEN = {
    "documents": (r"/corpora/.*", 4),
    "base begun": (rf"{BASE}/config\.json", 1),
    "pretraining": (rf"{BASE}/metrics\.jsonl", 40),
    "base checkpoint": (rf"{BASE}/checkpoints/.*", 30),
    "base weights": (rf"{BASE}/\.model-unfinished/.*", 4),
    "base probe": (rf"{BASE}/rollouts/.*", 3),
    "base done": (rf"{BASE}/DONE", 1),
    "run begun": (rf"{RUN}/config\.json", 1),
    "metrics": (rf"{RUN}/metrics\.jsonl", 4),
    "checkpoint": (rf"{RUN}/checkpoints/(.*/)?checkpoint-.*", 30),
    "rollouts": (rf"{RUN}/rollouts/split=train/.*", 6),
    "start probe": (rf"{RUN}/rollouts/split=probe/epoch=000\.parquet", 1),
    "probe": (rf"{RUN}/rollouts/split=probe/.*", 12),
    "round": (rf"{RUN}/checkpoints/((step|round|sft)-[^/]+|\.round-unfinished)(/.*)?", 6),
    "policy": (rf"{RUN}/(\.policy-unfinished|policy)(/.*)?", 6),
    "winners": (rf"{RUN}/winners\.parquet", 1),
    "run done": (rf"{RUN}/DONE", 1),
    "table": (r"/small/tables/.*", 18),
    "figure": (r"/small/figures/.*", 16),
    "report": (r"/small/report\.html", 1),
}
"""For each kind: the paths that are written then, and about how often one process does that."""

IN_BASES = tuple(list(WRITTEN)[:7])
IN_RUNS = tuple(list(WRITTEN)[7:17])
IN_REPORTS = tuple(list(WRITTEN)[17:])


def drawn(lot: Random, name: str, target: Target, place: Path) -> Strike:
    """A kill at a moment of a kind, its details drawn by lot; see `Strike`."""
    pattern, times = WRITTEN[name]
    later = lot.choice((0.0, 0.0, lot.uniform(0.0, 0.05), lot.uniform(0.0, 1.0)))
    return Strike(
        pattern=pattern,
        number=lot.randint(1, times),
        later=later,
        target=target,
        place=str(place),
    )
