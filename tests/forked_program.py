"""Programs as processes of their own which begin with torch and TRL imported, and may be killed."""

import multiprocessing
import sys
from collections.abc import Callable

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(
    [
        "trl.trainer.dpo_trainer",
        "trl.trainer.grpo_trainer",
        "trl.trainer.sft_trainer",
        "on_policy_process",
        "stage_process",
    ]
)


def exit_status(main: Callable[[], None], *arguments: object) -> int:
    """Run a program to its end.

    Args:
        main: reads `sys.argv`; importable by its name.
        arguments: of the command line.

    Returns:
        The exit status; minus the signal that ended it.
    """
    process = _PROCESSES.Process(target=_program, args=(main, [str(word) for word in arguments]))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _program(main: Callable[[], None], arguments: list[str]) -> None:
    sys.argv[1:] = arguments
    main()
