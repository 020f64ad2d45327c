"""Models on disk: opening them on the best device, counting parameters, and padding tokens.

Models and tokenizers here are folders that `save_pretrained` wrote; `source` finds and converts the
others.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from formatlab.errors import InputError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def best_device() -> "torch.device":
    """The accelerator that torch finds (CUDA, MPS, XPU, ...), else the CPU."""
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return found or torch.device("cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class ParameterCount:
    """Number of trained numbers in a model."""

    total: int
    """All of them; a matrix used both as embedding and as output head counts once."""
    non_embedding: int
    """Without embedding tables (of tokens and of positions) and without the output head."""


def count_parameters(model: "PreTrainedModel") -> ParameterCount:
    """Count the parameters of a model, frozen ones included.

    Non-embedding parameters are counted as in Kaplan et al. (2020), section 2.1: vocabulary and
    positional embeddings are left out.
    """
    from torch import nn

    tables = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    head = model.get_output_embeddings()
    if head is not None:
        tables |= {id(parameter) for parameter in head.parameters()}
    sizes = {id(parameter): parameter.numel() for parameter in model.parameters()}
    total = sum(sizes.values())
    return ParameterCount(
        total=total,
        non_embedding=total - sum(size for key, size in sizes.items() if key in tables),
    )


_PADDING_TOKENS = (
    "<pad>",
    "[PAD]",
    "<|pad|>",
    "<|finetune_right_pad_id|>",
    "<|endoftext|>",
    "<unk>",
)
"""Tokens that vocabularies keep for padding, or that no document of a chat model contains."""


def load_saved(path: Path) -> "PreTrainedModel":
    """Open a folder that `save_pretrained` wrote, in float32, on the best device there is."""
    import torch
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return model.to(best_device()).eval()


def load_tokenizer(path: Path) -> "PreTrainedTokenizerBase":
    """Open the tokenizer of a folder that `save_pretrained` wrote, padding on the left."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    set_padding(tokenizer, str(path))
    return tokenizer


def set_padding(tokenizer: "PreTrainedTokenizerBase", name: str) -> None:
    """Pad on the left, with a token that is not EOS where the vocabulary has one to spare."""
    end = tokenizer.eos_token
    if end is None:
        raise InputError(
            f"model {name!r}: its tokenizer has no end-of-text token, so no answer could ever end; "
            "set eos_token in its tokenizer_config.json"
        )
    tokenizer.padding_side = "left"
    if tokenizer.pad_token in (None, end):
        vocabulary = tokenizer.get_vocab()
        spare = (token for token in _PADDING_TOKENS if token in vocabulary and token != end)
        tokenizer.pad_token = next(spare, end)


def silence_libraries() -> None:
    """Keep progress bars and notices of the libraries off the terminal; errors still show."""
    import datasets
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    # transformers warns of its own deprecated names, which TRL still uses.
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
