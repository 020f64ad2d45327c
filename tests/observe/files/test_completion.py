"""The completion alone is found, in text and in chats."""

import json

import pytest

from formatlab.observe.files.completion import (
    NoCompletionError,
    after_turn,
    completion,
    reply_of_nodes,
)
from formatlab.observe.tagger import tag

USER = {"role": "user", "content": "1 + 1?"}


def assistant(content: object) -> dict:
    return {"role": "assistant", "content": content}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("", ""),
        (["only one"], "only one"),
        ([assistant("2")], "2"),
        (assistant("2"), "2"),
        ([USER, assistant("3"), USER, assistant("2")], "2"),
        ([assistant("call"), {"role": "tool", "content": "5"}, assistant("2")], "call\n2"),
        ([USER, assistant(None), {"role": "tool", "content": "5"}, assistant("2")], "2"),
        ([USER, assistant([{"type": "text", "text": "a"}, {"type": "image"}, "b"])], "ab"),
        ([{"from": "human", "value": "q"}, {"from": "gpt", "value": "2"}], "2"),
        ({"content": "2"}, "2"),
        ({"message": assistant("2"), "finish_reason": "stop"}, "2"),
        ({"object": "chat.completion", "choices": [{"message": assistant("2")}]}, "2"),
    ],
)
def test_the_assistant_s_last_messages_are_the_completion(value: object, expected: str):
    assert completion(value) == expected


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "null"),
        (5, "int 5"),
        ([], "an empty list"),
        (["a", "b"], "a list of 2 texts"),
        ([USER], "role 'user'"),
        ([assistant("2"), USER], "role 'user'"),
        ([1, "a"], "a list"),
        ([assistant(5)], "content is int 5"),
    ],
)
def test_what_holds_no_completion_says_what_it_is(value: object, said: str):
    with pytest.raises(NoCompletionError, match=said):
        completion(value)


CALL = '<tool_call>\n{"name": "python", "arguments": {"code": "1 + 1"}}\n</tool_call>'


def test_the_items_of_the_responses_api_are_one_conversation():
    call = {"type": "function_call", "name": "python", "arguments": '{"code": "1 + 1"}'}
    output = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        call,
        {"type": "function_call_output", "output": "2"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "2"}]},
    ]
    assert completion({"id": "resp_1", "output": output}) == f"a\n{CALL}\n2"
    assert completion(output) == f"a\n{CALL}\n2"
    assert completion([output[0]]) == ""


@pytest.mark.parametrize("arguments", ['{"code": "1 + 1"}', {"code": "1 + 1"}])
def test_calls_beside_the_content_are_seen(arguments: object):
    call = {"type": "function", "function": {"name": "python", "arguments": arguments}}
    messages = [USER, assistant(None) | {"tool_calls": [call]}, {"role": "tool", "content": "2"}]
    assert completion([*messages, assistant("It is 2.")]) == f"{CALL}\nIt is 2."


@pytest.mark.parametrize(
    "called",
    [
        assistant(None) | {"function_call": {"name": "python", "arguments": '{"code": "1 + 1"}'}},
        assistant([{"type": "tool_use", "name": "python", "input": {"code": "1 + 1"}}]),
        {"type": "code_interpreter_call", "code": "1 + 1", "outputs": []},
        {"type": "custom_tool_call", "name": "python", "input": {"code": "1 + 1"}},
    ],
)
def test_calls_of_other_interfaces_are_written_alike(called: dict):
    answered = {"role": "user", "content": [{"type": "tool_result", "content": "2"}]}
    told = completion([USER, called, answered, assistant("It is 2.")])
    assert [line for line in told.split("\n") if line] == [*CALL.split("\n"), "It is 2."]
    assert tag(completion([USER, called])).format == "tool_tags"


def test_a_call_with_arguments_nested_too_deep_is_seen_without_them():
    arguments: dict = {}
    for _ in range(5000):
        arguments = {"a": arguments}
    call = {"function": {"name": "python", "arguments": arguments}}
    assert '"arguments": null' in completion(assistant(None) | {"tool_calls": [call]})


def node(message: dict, parent: int | None, *, sampled: bool = False) -> dict:
    return {"message": message, "parent": parent, "sampled": sampled}


def test_a_trace_gives_its_final_branch():
    nodes = [
        node(USER, None),
        node(assistant("first"), 0, sampled=True),
        node(assistant("an example in the prompt"), 0),
        node(assistant("second"), 0, sampled=True),
    ]
    assert reply_of_nodes(nodes) == "second"
    assert reply_of_nodes(nodes[:2]) == "first"
    with pytest.raises(NoCompletionError):
        reply_of_nodes(nodes[:3])
    with pytest.raises(NoCompletionError):
        reply_of_nodes("nodes")
    assert reply_of_nodes([node(USER, 1), node(assistant("loop"), 1, sampled=True)]) == "loop"


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n2",
        "<|start_header_id|>user<|end_header_id|>\n\nq<|start_header_id|>assistant"
        "<|end_header_id|>\n\n2",
        "<start_of_turn>user\nq<end_of_turn>\n<start_of_turn>model\n2",
        "<s>[INST] q [/INST] 2",
        "<|user|>\nq\n<|assistant|>\n2",
    ],
)
def test_what_follows_the_mark_of_the_turn(text: str):
    assert after_turn(text) == "2"
    assert after_turn("no mark") is None


def test_a_turn_goes_on_behind_what_a_tool_answered():
    prompt = "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n"
    own = (
        f"{CALL}<|im_end|>\n<|im_start|>user\n<tool_response>\n2\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\nIt is 2."
    )
    assert after_turn(f"{prompt}<|im_start|>assistant\n{own}") == own


CHAT = [{"role": "user", "content": "2 + 3?"}, {"role": "assistant", "content": "It's 5."}]


@pytest.mark.parametrize("text", [json.dumps(CHAT), repr(CHAT), json.dumps(CHAT, indent=2)])
def test_a_chat_that_a_table_keeps_as_text_is_a_chat(text: str):
    assert completion(text) == "It's 5."


@pytest.mark.parametrize(
    "text", ['[{"answer": 5}]', "[{'role': 'assistant', 'content': ", "[5]", '[{"role": 5}, 3]']
)
def test_other_text_that_opens_like_a_list_is_text(text: str):
    assert completion(text) == text
