"""Low-rank adapters: train a few added parameters instead of the whole model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from formatlab.errors import InputError

if TYPE_CHECKING:
    from peft import LoraConfig
    from transformers import PreTrainedModel

ADAPTER_CONFIG = "adapter_config.json"
"""The file by which a folder is known to hold an adapter."""
ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""The file that holds its weights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraSettings:
    """A low-rank adapter (Hu et al. 2021, arXiv:2106.09685).

    Raises:
        InputError: a value is outside its range, or the output head is named.
    """

    version: ClassVar[int] = 1
    """Raised when the same settings make another adapter."""

    rank: int = 16
    """Inner dimension of each pair of matrices."""
    alpha: int = 32
    """The product of the pair is scaled by alpha / rank."""
    target_modules: tuple[str, ...] | None = None
    """Names of the linear layers that get an adapter, such as `q_proj`; None for every one but
    the output head."""

    def __post_init__(self) -> None:
        """Check the values."""
        if self.rank < 1:
            raise InputError(f"LoRA rank is {self.rank}; it must be at least 1")
        if self.alpha <= 0:
            raise InputError(f"LoRA alpha is {self.alpha}; it must be above 0")
        if self.target_modules is not None and not self.target_modules:
            raise InputError("LoRA target modules: name at least one, or leave them out for all")
        if self.target_modules and "lm_head" in self.target_modules:
            raise InputError("LoRA target modules: TRL cannot train an adapter on lm_head")

    def check(self, model: Path) -> None:
        """Check that a model has the layers that are named.

        Args:
            model: a transformers folder.

        Raises:
            InputError: it has not; the message names those it has.
        """
        if self.target_modules is None:
            return
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM

        with torch.device("meta"):  # its shape alone
            shape: Any = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model))
        layers = [n for n, of in shape.named_modules() if isinstance(of, torch.nn.Linear)]
        for target in self.target_modules:
            if not any(layer == target or layer.endswith(f".{target}") for layer in layers):
                known = sorted({layer.rsplit(".", 1)[-1] for layer in layers} - {"lm_head"})
                raise InputError(
                    f"LoRA target modules: the model has no linear layer {target!r}; it has "
                    f"{', '.join(known)}"
                )

    def config(self) -> "LoraConfig":
        """The same as peft's configuration."""
        from peft import LoraConfig

        targets = self.target_modules
        return LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,
            lora_dropout=0.0,  # TRL samples in training mode, where dropout is another policy
            target_modules="all-linear" if targets is None else list(targets),
            task_type="CAUSAL_LM",
        )


def merged(model: "PreTrainedModel", adapter: Path) -> "PreTrainedModel":
    """The model with the adapter of a folder added into its weights."""
    from peft import PeftModel

    adapted: Any = PeftModel.from_pretrained(model, str(adapter))
    return adapted.merge_and_unload()
