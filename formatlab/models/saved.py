"""Models on disk, opened without the chatter of the libraries."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def load_saved(path: Path, dtype: "torch.dtype | None" = None) -> "PreTrainedModel":
    """Open a folder that `save_pretrained` wrote, on the fastest device there is.

    Args:
        path: the folder.
        dtype: of the weights; float32 if not given.
    """
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype or torch.float32)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def silence_libraries() -> None:
    """Keep progress bars and notices of the libraries off the terminal; errors still show."""
    import datasets
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    # transformers warns of its own deprecated names, which TRL still uses.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
