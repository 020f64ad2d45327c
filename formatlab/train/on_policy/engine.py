"""The engine: what samples the rollouts of training, which does not change the algorithm."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from formatlab.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What samples the rollouts of training.

    The lab's own sampler is the fastest for models of up to some hundred million parameters. A
    larger one is served by vLLM, through TRL's own switch. What shards a model over processes
    (DeepSpeed, FSDP) is configured where `accelerate launch` is told, and passes through untouched;
    there TRL's own generation samples.
    """

    vllm: Literal["off", "colocate", "server"] = "off"
    """vLLM in the training processes, or as a server of its own at `vllm_server`."""
    vllm_memory: float = 0.3
    """Share of the GPU's memory that a colocated vLLM may take."""
    vllm_server: str = "http://localhost:8000"
    """Address of the server."""

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 < self.vllm_memory < 1:
            raise InputError(f"engine: vllm_memory is {self.vllm_memory}; between 0 and 1")

    def check_installed(self) -> None:
        """Check that what is asked for is there.

        Raises:
            InputError: vLLM is not installed.
        """
        if self.vllm != "off" and find_spec("vllm") is None:
            raise InputError(
                f"engine: vllm is {self.vllm!r}, and vLLM is not installed; install the extra "
                "trl[vllm] on a machine with a GPU, or leave --engine.vllm off"
            )
