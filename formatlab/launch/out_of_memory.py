"""Memory that ran out, told by what the libraries make of it."""

_SIGNS = (
    "can't allocate memory",  # torch, on a CPU
    "Cannot allocate memory",
    "can't start new thread",
    "Failed to launch worker thread",  # pyarrow
    "error return without exception set",  # compiled code that did not foresee it
    "std::bad_alloc",
)


def out_of_memory(error: BaseException) -> str | None:
    """A message for people if an error came of memory that ran out; None if it did not."""
    import torch

    said = str(error).partition("\n")[0]
    kinds = (MemoryError, torch.OutOfMemoryError)
    if not isinstance(error, kinds) and not any(sign in said for sign in _SIGNS):
        return None
    return (
        f"{said or 'out of memory'}; lower the algorithm's micro_batch or --probe.batch, or run "
        "fewer --jobs; the same command goes on"
    )
