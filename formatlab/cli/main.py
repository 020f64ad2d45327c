"""The entry point: runs the verb, and prints an error meant for people as one message."""

import errno
import importlib
import os
import sys
from collections.abc import Sequence

from formatlab import __version__
from formatlab.errors import FormatlabError, missing_package

VERBS = {
    "run": "run an experiment: pretrain, train, measure, report",
    "probe": "observe one model on one set of problems, without training",
    "tag": "say which formats anyone's rollouts are in, from their files",
    "compare": "say what differs between sets of rollouts: runs, anyone's files, models",
    "measure": "write all measures of runs or rollout files as one table",
    "alarms": "measure which signal warns of a collapse, how early, and how often in vain",
    "competence": "say whether scale or what bases have learned decides the winner",
    "forecast": "say which format RL will end in, from the policy before it",
    "response": "say how far the first update of RL moves each format, by optimiser",
    "score-forecasts": "score forecasts on runs they were not fitted on",
    "status": "say how far studies are: done, running, failed, waiting, time left",
    "report": "make tables, figures and the report of a study again",
    "export": "write rollouts and models of studies to a folder with cards, to be published",
    "clean": "show what could be removed from a runs folder, and remove it with --yes",
    "doctor": "say what this machine has, and what to do about what is missing",
}

HELP = f"""\
usage: formatlab VERB [OPTIONS]

A laboratory for one question: when reinforcement learning rewards only correctness,
which output format survives, at which scale, and could one have known beforehand?

verbs:
{chr(10).join(f"  {name:<10} {what}" for name, what in VERBS.items())}

examples:
  formatlab run experiments/scale_attractors.py
  formatlab run experiments/scale_attractors.py --scales 0.08M --seeds 0 1 2 --jobs 2
  formatlab probe --model smollm2-135m --problems gsm8k --samples 4
  formatlab tag out/completions/*.parquet --figure formats.png
  formatlab tag evals/ --by source_file --output tagged.parquet
  formatlab compare sft.jsonl grpo.jsonl --figure differences.png
  formatlab measure runs/scale_attractors --output measures.csv
  formatlab alarms runs/scale_attractors runs/controls
  formatlab forecast my_rollouts.jsonl --learning-rate 1e-6 --parameters 1.5e9
  formatlab score-forecasts plots/forecasts
  formatlab response runs/scale_attractors
  formatlab status --watch
  formatlab clean runs
  formatlab report runs/scale_attractors
  formatlab export runs/scale_attractors --output published --licence cc-by-4.0

`formatlab VERB --help` says more about each. Exit status: 0 done, 1 failed, 2 wrong input.
"""


_NO_ACCESS = "no permission for it, or for its folder; change the permissions, or name another"
_REFUSED = {
    errno.EACCES: _NO_ACCESS,
    errno.EPERM: _NO_ACCESS,
    errno.ENAMETOOLONG: "the name is longer than the file system takes; choose another",
}
"""Errors about a path that was named on the command line, wherever it is first looked at."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if words[0] == "--version":
        print(f"formatlab {__version__}")
        return 0
    verb, *rest = words
    if verb not in VERBS:
        print(f"formatlab: unknown verb {verb!r}; known verbs: {', '.join(VERBS)}", file=sys.stderr)
        return 2
    # These libraries send telemetry unless told not to.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TQDM_DISABLE", "1")  # the lab has a progress display of its own
    try:
        return importlib.import_module(f"formatlab.cli.{verb.replace('-', '_')}").main(rest)
    except FormatlabError as error:
        print(f"formatlab {verb}: {error}", file=sys.stderr)
        return error.exit_status
    except ModuleNotFoundError as error:
        advice = missing_package(error.name)
        if not advice:
            raise
        print(f"formatlab {verb}: {advice}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of the output, such as `head`, has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        advice = _REFUSED.get(error.errno or 0)
        if advice is None or error.filename is None:
            raise
        print(f"formatlab {verb}: {error.filename}: {advice}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nformatlab {verb}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
