"""Measurements of the instruments, each by one command from the root of the repository.

    python -m benchmarks.confusion FOLDER    how often the tagger gives the right label
    python -m benchmarks.grading FOLDER      how often the grader errs, per format
    python -m benchmarks.tagging [FOLDER]    answers a second of the tagger, and of `formatlab tag`
    python -m benchmarks.sandbox             programs a second of the sandbox
    python -m benchmarks.recorder            share of a training step that `FormatRecorder` takes
    python -m benchmarks.speed               speed of the lab, beside stock TRL and its own past
    python -m benchmarks.cost                how the cost of a step grows, with its floor
    python -m benchmarks.gpu FOLDER          the speed on a GPU
    python -m benchmarks.analysis            time and memory of the analysis of 10 million rollouts

FOLDER holds the data sets (`format_samples.jsonl`, `graded/`, `gsm8k/`, `math500/`, ...).
"""
