"""Decoding: the lab's sampler beside transformers' static cache and, where it is installed, vLLM.

The model has random weights and nothing ends a completion, so all decode the same number of tokens.
"""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from benchmarks.steps import now
from benchmarks.turns import Row
from formatlab.models.scale import find_scale

PROMPT_TOKENS = 40
CONTEXT = 256


def decoding_rows(
    scale: str, folder: Path, *, prompts: int, group: int, tokens: int, rounds: int
) -> list[Row]:
    """Tokens a second in bfloat16, and of the lab in float32 too.

    Args:
        scale: of the ladder.
        folder: where the model is saved for vLLM.
        prompts: different ones.
        group: completions of each.
        tokens: of a completion.
        rounds: times that each decodes, after one that warms up.
    """
    import torch
    from transformers import LlamaForCausalLM

    from formatlab.models.model import best_device

    torch.manual_seed(0)
    shape = find_scale(scale).architecture(vocabulary=512, context=CONTEXT, pad=0, eos=1)
    model: Any = LlamaForCausalLM(shape).eval()
    model.save_pretrained(folder)
    model.to(best_device())
    ids = torch.randint(2, 512, (prompts, PROMPT_TOKENS)).repeat_interleave(group, dim=0)

    def row(who: str, precision: str, decode: Callable[[], object]) -> Row:
        rates = []
        for _ in range(1 + rounds):
            start = now()
            decode()
            rates.append(len(ids) * tokens / (now() - start))
        what = f"decoding at {scale}, {precision}, tokens a second"
        return Row(what=what, who=who, values=rates[1:], more_is_better=True)

    rows = [
        row("lab", precision, _lab(model, ids.tolist(), tokens, precision))
        for precision in ("float32", "bfloat16")
    ]
    rows.append(
        row("transformers, static cache", "bfloat16", _static_cache(model.bfloat16(), ids, tokens))
    )
    if find_spec("vllm"):
        del model
        try:
            rows.append(row("vLLM", "bfloat16", _vllm(folder, ids.tolist(), tokens)))
        except Exception as error:  # whatever it lacks here, the other rows stand
            what = f"decoding at {scale}, bfloat16, tokens a second"
            rows.append(Row(what=what, who="vLLM", values=[], note=f"{error}".splitlines()[0]))
    return rows


def _lab(
    model: Any,
    prompts: Sequence[Sequence[int]],
    tokens: int,
    precision: Literal["float32", "bfloat16"],
) -> Callable[[], object]:
    from formatlab.train.policy import half_precision
    from formatlab.train.sampler import sample

    def decode() -> None:
        with half_precision(precision, model.device.type):
            sample(
                model,
                prompts,
                seeds=range(len(prompts)),
                limit=tokens,
                temperature=1.0,
                pad=0,
                eos=[-1],
            )

    return decode


def _static_cache(model: Any, ids: Any, tokens: int) -> Callable[[], object]:
    ids = ids.to(model.device)
    return lambda: model.generate(
        ids,
        attention_mask=ids.new_ones(ids.shape),
        do_sample=True,
        top_k=0,
        max_new_tokens=tokens,
        eos_token_id=-1,
        pad_token_id=0,
        cache_implementation="static",
    )


def _vllm(folder: Path, prompts: Sequence[Sequence[int]], tokens: int) -> Callable[[], object]:
    import vllm  # pyright: ignore[reportMissingImports] - needs CUDA, so it is no dependency

    engine = vllm.LLM(
        model=str(folder),
        dtype="bfloat16",
        skip_tokenizer_init=True,
        gpu_memory_utilization=0.5,
    )
    sampling = vllm.SamplingParams(
        temperature=1.0, max_tokens=tokens, ignore_eos=True, detokenize=False
    )
    given = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
    return lambda: engine.generate(given, sampling, use_tqdm=False)
