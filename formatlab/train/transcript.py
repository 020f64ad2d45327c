"""The transcript: a prompt or a completion of a TRL trainer as one text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Turns = str | list[dict[str, Any]]
"""What TRL calls a prompt or a completion: a text, or the messages of a chat."""


def prompt_texts(
    prompts: Sequence[Turns],
    ids: "torch.Tensor",
    mask: "torch.Tensor",
    tokenizer: "PreTrainedTokenizerBase",
) -> list[str]:
    """The texts given to the model.

    A chat is decoded from its tokens, with the marks that the chat template puts around messages.

    Args:
        prompts: B of them; equal ones mostly stand together.
        ids: their tokens, (B, P).
        mask: 1 where a token belongs to the prompt, (B, P).
        tokenizer: decodes them.
    """
    texts: list[str] = []
    for number, prompt in enumerate(prompts):
        if isinstance(prompt, str):
            texts.append(prompt)
        elif number and prompt == prompts[number - 1]:
            texts.append(texts[-1])
        else:
            texts.append(str(tokenizer.decode(ids[number][mask[number].bool()])))
    return texts


def completion_text(
    completion: Turns, ids: Sequence[int], tokenizer: "PreTrainedTokenizerBase"
) -> str:
    """The text that the model gave.

    One plain message of a chat is its content. Anything else (tool calls and their results,
    thoughts that a template sets apart) is decoded from the tokens: messages would tell it in a
    form that the model did not write.
    """
    if isinstance(completion, str):
        return completion
    match completion:
        case [{"role": _, "content": str(content), **others}] if not others:
            return content
        case _:
            return str(tokenizer.decode(list(ids), skip_special_tokens=True))
