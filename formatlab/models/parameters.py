"""How large a model is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
