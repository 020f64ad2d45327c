"""What is kept as text of a prompt or a completion."""

from typing import Any

import pytest
import torch
from recorder_process import tokenizer

from formatlab.train.recorder.recorded_batch import completion_text, prompt_texts


@pytest.mark.parametrize(
    ("completion", "text"),
    [
        ("5", "5"),
        ("", ""),
        ([{"role": "assistant", "content": "five"}], "five"),
        ([{"role": "assistant", "content": ""}], ""),
        ([{"role": "assistant", "content": "five", "tool_calls": [{"name": "sum"}]}], "as written"),
        ([{"role": "assistant", "content": "five", "reasoning_content": "2 + 3"}], "as written"),
        ([{"role": "assistant", "content": None}], "as written"),
        ([{"role": "assistant", "content": [{"type": "text", "text": "five"}]}], "as written"),
        ([{"role": "assistant", "content": "a"}, {"role": "tool", "content": "b"}], "as written"),
        ([], "as written"),
    ],
)
def test_a_completion_is_its_content_or_what_was_written(completion: Any, text: str):
    tokens = tokenizer()
    ids = tokens("as written")["input_ids"]
    assert isinstance(ids, list)
    assert completion_text(completion, [*ids, 2], tokens) == text


def test_a_chat_is_decoded_without_its_padding():
    tokens = tokenizer()
    chat = [{"role": "user", "content": "2 + 3?"}]
    ids = tokens("<|im_start|>user", padding="max_length", max_length=9, padding_side="left")
    encoded, mask = torch.tensor([ids["input_ids"]] * 3), torch.tensor([ids["attention_mask"]] * 3)
    texts = prompt_texts([chat, chat, "plain"], encoded, mask, tokens)
    assert texts == ["<|im_start|>user", "<|im_start|>user", "plain"]
