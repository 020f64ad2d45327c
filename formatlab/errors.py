"""Errors meant for people: what was wrong, where, and what to do about it."""


class FormatlabError(Exception):
    """A problem that the command line prints as one message, without a traceback."""

    exit_status: int = 1


class InputError(FormatlabError):
    """What the user gave cannot be used: a value, a file, a name."""

    exit_status = 2


class RunError(FormatlabError):
    """The input was fine and the work could still not be done."""

    exit_status = 1
