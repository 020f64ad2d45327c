"""The environment of a run: versions, commit, device and threads."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import formatlab

PACKAGES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate", "tokenizers")


def environment() -> dict[str, Any]:
    """Describe this process, for `env.json`.

    On a CPU, versions and the number of threads can change a result in its last bits, and so, after
    many steps, in its samples.
    """
    import torch

    cuda = torch.cuda.is_available()
    return {
        "formatlab": formatlab.__version__,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "git_commit": _git_commit(),
        "device": torch.cuda.get_device_name() if cuda else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv),
        "process": os.getpid(),
    }


def _git_commit() -> str | None:
    """Commit of the checkout that formatlab runs from; None where there is none."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
