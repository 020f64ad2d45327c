"""The ladder of scales: one dial, the width; everything else follows from it.

The rule, and why it is this one:

* depth = width / 52, at least 2: depth and width grow together, as they do in the model families
  the field uses (a 768-wide model gets 15 layers); below two layers a transformer cannot copy from
  its prompt (Olsson et al. 2022, arXiv 2209.11895).
* head width 16 up to width 128, 32 up to 384, 64 above: at least three heads at every scale.
* MLP width 8/3 of the width, the usual choice for SwiGLU (Shazeer 2020, arXiv 2002.05202).
* learning rate 1.2e-2 * sqrt(48 / width): with Adam the stable rate falls with width; a power of
  1/2 is the compromise between the 1/width of hidden matrices and the constant of embeddings
  (Yang et al. 2022, arXiv 2203.03466, table 3). Muon, whose updates are as large, has the same.
* learning rate of RL 1e-3 * 32 / width. It fine-tunes what is there, so the 1/width of hidden
  matrices is the better guide; at 1e-3 a 0.13M model came to be right less often (docs/log.md).
* batch 32 documents up to width 128, 64 up to 256, 128 above: with a budget of a few million
  tokens the number of steps is what is short. At 4 million tokens a 0.27M model with batches of
  128 learned less arithmetic than a 0.08M one with batches of 64 (docs/log.md).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from formatlab.errors import InputError

if TYPE_CHECKING:
    from transformers import LlamaConfig


ARCHITECTURE = {"tie_word_embeddings": True, "attention_dropout": 0.0}
"""What the models of all scales have in common, by transformers' names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """A named model size."""

    name: str
    """About the total number of parameters with a vocabulary of 512."""
    width: int
    """Size of the residual stream; a multiple of 16."""

    @property
    def depth(self) -> int:
        """Number of layers."""
        return max(2, round(self.width / 52))

    @property
    def heads(self) -> int:
        """Number of attention heads, each with its own keys and values."""
        head_width = 16 if self.width <= 128 else 32 if self.width <= 384 else 64
        return self.width // head_width

    @property
    def mlp_width(self) -> int:
        """Size of the hidden layer of each MLP, a multiple of 8."""
        return 8 * round(self.width / 3)

    @property
    def learning_rate(self) -> float:
        """Peak learning rate of pretraining."""
        return 1.2e-2 * (48 / self.width) ** 0.5

    @property
    def rl_learning_rate(self) -> float:
        """Learning rate of reinforcement learning, where a study does not give one."""
        return 1e-3 * 32 / self.width

    @property
    def batch_documents(self) -> int:
        """Documents in one pretraining step."""
        return 32 if self.width <= 128 else 64 if self.width <= 256 else 128

    @property
    def config(self) -> dict[str, Any]:
        """Everything that decides a base of this scale, ready for JSON.

        The learning rate of reinforcement learning is none of it: it is a setting of the run.
        """
        return {
            "name": self.name,
            "width": self.width,
            "depth": self.depth,
            "heads": self.heads,
            "mlp_width": self.mlp_width,
            "learning_rate": self.learning_rate,
            "batch_documents": self.batch_documents,
            "architecture": ARCHITECTURE,
        }

    def parameters(self, vocabulary: int) -> int:
        """Total number of parameters; the tied embedding counts once."""
        layer = 4 * self.width**2 + 3 * self.width * self.mlp_width + 2 * self.width
        return vocabulary * self.width + self.depth * layer + self.width

    def non_embedding_parameters(self, vocabulary: int) -> int:
        """Number of parameters without the embedding."""
        return self.parameters(vocabulary) - vocabulary * self.width

    def architecture(self, *, vocabulary: int, context: int, pad: int, eos: int) -> "LlamaConfig":
        """The Llama configuration: no dropout, tied embeddings.

        Args:
            vocabulary: number of tokens.
            context: longest sequence, in tokens.
            pad: id of the padding token.
            eos: id of the end-of-sequence token.
        """
        from transformers import LlamaConfig

        return LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=self.width,
            intermediate_size=self.mlp_width,
            num_hidden_layers=self.depth,
            num_attention_heads=self.heads,
            num_key_value_heads=self.heads,
            max_position_embeddings=context,
            **ARCHITECTURE,
            pad_token_id=pad,
            eos_token_id=eos,
            bos_token_id=None,
        )


LADDER: dict[str, Scale] = {
    name: Scale(name=name, width=width)
    for name, width in (
        ("0.04M", 32),
        ("0.08M", 48),
        ("0.13M", 64),
        ("0.27M", 96),
        ("0.46M", 128),
        ("1.0M", 160),
        ("1.9M", 192),
        ("4.1M", 256),
        ("12M", 384),
        ("32M", 512),
        ("107M", 768),
    )
}
"""Every scale by its name, smallest first."""


def find_scale(name: str) -> Scale:
    """Look a scale up.

    Raises:
        InputError: no scale has that name.
    """
    if name not in LADDER:
        raise InputError(f"unknown scale {name!r}; known scales: {', '.join(LADDER)}")
    return LADDER[name]
