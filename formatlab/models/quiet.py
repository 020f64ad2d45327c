"""Loading ladder models without the chatter of the libraries."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM


def load_causal_lm(path: Path, dtype: "Any | None" = None) -> "LlamaForCausalLM":
    """Open a model saved by `save_pretrained`, on the fastest device there is, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path, dtype=dtype or torch.float32)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
