"""The completion: what a model wrote, without its prompt, in text, a chat, a trace or tokens."""

import ast
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import regex

from formatlab.errors import InputError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_ASSISTANT = {"assistant", "model", "gpt", "bot"}
_TOOL = {"tool", "function", "observation", "ipython"}
_ITEM_ROLES = {
    "function_call": "assistant",
    "custom_tool_call": "assistant",
    "code_interpreter_call": "assistant",
    "reasoning": "assistant",
    "function_call_output": "tool",
    "custom_tool_call_output": "tool",
}
"""Type of an item of a Responses API's output that has no role -> its role."""
_HOLDERS = ("output", "choices", "message", "body")
"""Fields of an answer of a server, or of a choice in one, that hold what the model wrote."""

# How the chat templates of ChatML, Llama 3, Gemma, Mistral, Tulu and DeepSeek begin the model's
# turn. The tagger removes the marks that end it.
_TURN = regex.compile(
    r"<\|im_start\|>assistant\s*+|<\|start_header_id\|>assistant<\|end_header_id\|>\s*+"
    r"|<start_of_turn>model\s*+|\[/INST\]\s*+|<\|assistant\|>\s*+|<｜Assistant｜>\s*+"
)
_TOOL_TURN = regex.compile(
    r"<tool_response>|\[TOOL_RESULTS\]|<\|observation\|>|```tool_output"
    r"|<\|im_start\|>\s*+tool\b|<\|start_header_id\|>\s*+(?:ipython|tool)\b"
)
"""What a tool answered, in the notation of a chat template."""

_CHAT = regex.compile(r"\s*+\[\s*+\{\s*+['\"](?:role|from|content|value)['\"]\s*+:")


class NoCompletionError(Exception):
    """A value without a completion; the message says what it is instead."""


def completion(value: object) -> str:
    """Find the completion in a value: text, or a chat, as messages or as text.

    In a chat it is what the assistant said last: the contents of its messages after the last
    message of anyone but a tool, joined by newlines. The items of the Responses API are a chat too.
    Calls that a server keeps apart from the content are written as Qwen's template writes them, so
    that the tagger sees them; reasoning kept apart, and what tools answer, is left out.

    Raises:
        NoCompletionError: the value holds none.
    """
    if isinstance(value, str):
        chat = _chat_in(value)
        return value if chat is None else _reply(chat)
    if value is None:
        raise NoCompletionError("no text (null)")
    if isinstance(value, Mapping):
        return _of_object(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        if value and all(isinstance(item, Mapping) for item in value):
            return _reply(value)
        if len(value) == 1 and isinstance(value[0], str):
            return value[0]
        if value and all(isinstance(item, str) for item in value):
            raise NoCompletionError(f"a list of {len(value)} texts; one a row was expected")
    raise NoCompletionError(f"no text but {_described(value)}")


def is_chat(value: object) -> bool:
    """Whether a value is a list of messages, or of the items of a Responses API's output."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, Mapping) for item in value)
        and any(_role(item) for item in value)
    )


def question(value: object) -> str | None:
    """What a chat asks: its messages before those of which `completion` is made.

    Returns:
        Their roles and contents as text; None for what is no chat, and one that asks nothing.
    """
    chat = _chat_in(value) if isinstance(value, str) else value if is_chat(value) else None
    if not isinstance(chat, Sequence):
        return None
    end = len(chat)
    while end and not _asks(chat[end - 1]):
        end -= 1
    asked = [(_role(item), item.get("content", item.get("value"))) for item in chat[:end]]
    return repr(asked) if asked else None


def reply_of_nodes(nodes: object) -> str:
    """Find the completion in the message graph of a verifiers trace, in its final branch.

    A node has `message`, `parent` (the index of the node before it; none for the first) and
    `sampled` (whether the policy wrote it): verifiers/v1/graph.py of PrimeIntellect-ai/verifiers
    at 01844748128a.

    Raises:
        NoCompletionError: there is none.
    """
    if not isinstance(nodes, Sequence) or not all(isinstance(node, Mapping) for node in nodes):
        raise NoCompletionError(f"no message nodes but {_described(nodes)}")
    branch = []
    place: Any = len(nodes) - 1
    while isinstance(place, int) and 0 <= place < len(nodes):
        node = nodes[place]
        if node.get("sampled", True) or _role(node.get("message") or {}) not in _ASSISTANT:
            branch.append(node.get("message") or {})
        before = node.get("parent")
        place = before if isinstance(before, int) and before < place else None
    return _reply(branch[::-1])


def after_turn(text: str) -> str | None:
    """The text after the mark with which a chat template begins the model's last turn, if any.

    A turn goes on behind what a tool answered.
    """
    marks = list(_TURN.finditer(text))
    if not marks:
        return None
    first = marks.pop()
    while marks and _TOOL_TURN.search(text, marks[-1].end(), first.start()):
        first = marks.pop()
    return text[first.end() :]


@cache
def load_tokenizer(source: str) -> "Tokenizer":
    """Load a fast tokenizer, once a process; this needs neither transformers nor torch.

    Args:
        source: a folder with `tokenizer.json`, such a file, or a hub id.

    Raises:
        InputError: there is none.
    """
    import tokenizers

    path = Path(source).expanduser()
    path = path / "tokenizer.json" if path.is_dir() else path
    try:
        if path.is_file():
            return tokenizers.Tokenizer.from_file(str(path))
        return tokenizers.Tokenizer.from_pretrained(source)
    # The library raises bare `Exception` for a file that holds no tokenizer.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"the tokenizer {source!r} cannot be loaded ({reason}); give the model's folder or its "
            "tokenizer.json with --tokenizer"
        ) from error


def decoded(source: str, value: object) -> str:
    """Decode token ids, special tokens left out.

    Raises:
        NoCompletionError: the value is no list of token ids.
    """
    if not isinstance(value, Sequence) or not all(type(token) is int for token in value):
        raise NoCompletionError("no list of token ids")
    ids: Any = value
    try:
        return load_tokenizer(source).decode(ids)
    except OverflowError:
        raise NoCompletionError("token ids that no tokenizer has") from None


def _chat_in(text: str) -> Sequence[Any] | None:
    """The messages of a chat that is written as text, JSON or Python; None if it is no chat.

    `formatlab tag` writes chats as JSON, and pandas writes them to CSV as Python does.
    """
    if _CHAT.match(text) is None:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            messages = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if all(isinstance(item, Mapping) and _role(item) for item in messages):
            return messages
    return None


def _reply(messages: Sequence[Any]) -> str:
    said: list[str] = []
    for message in reversed(messages):
        if _asks(message):
            break
        if _role(message) in _ASSISTANT:
            said.append(_content(message))
    if not said:
        last = _role(messages[-1]) if messages else ""
        raise NoCompletionError(f"no message of the assistant at the end (role {last!r})")
    return "\n".join(text for text in reversed(said) if text)


def _asks(message: Mapping[str, Any]) -> bool:
    """Whether a message is neither the model's nor a tool's."""
    return _role(message) not in _ASSISTANT | _TOOL and not _is_result(message)


def _of_object(value: Mapping[str, Any]) -> str:
    """The completion in a message, a choice of a chat completion, or a whole answer of a server."""
    inner = next((value[name] for name in _HOLDERS if value.get(name)), None)
    if inner and is_chat(inner):
        return _reply(inner)
    if isinstance(inner, list) and len(inner) == 1:
        inner = inner[0]
    if isinstance(inner, Mapping):
        return _of_object(inner)
    if not _role(value) and value.keys() & {"content", "text"}:
        return _content(value)
    return _reply([value])


def _role(message: Mapping[str, Any]) -> str:
    role = str(message.get("role") or message.get("from") or "").lower()
    return role or _ITEM_ROLES.get(str(message.get("type")), "")


def _is_result(message: Mapping[str, Any]) -> bool:
    """Whether a message holds nothing but what tools answered, as Anthropic's API sends it."""
    content = message.get("content")
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(part, Mapping) and part.get("type") == "tool_result" for part in content)
    )


def _content(message: Mapping[str, Any]) -> str:
    if message.get("type") in ("function_call", "custom_tool_call", "code_interpreter_call"):
        return _call(message)
    calls = [message.get("function_call"), *(_listed(message.get("tool_calls")))]
    called = [_call(call) for call in calls if isinstance(call, Mapping)]
    return "\n".join(text for text in (_said(message), *called) if text)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _call(call: Mapping[str, Any]) -> str:
    """A call of a tool as Qwen's chat template writes it."""
    function = call.get("function")
    function = function if isinstance(function, Mapping) else call
    name = function.get("name")
    arguments = function.get("arguments", function.get("input"))
    if "code" in function:  # OpenAI's own interpreter, which has no name
        name, arguments = name or "python", {"code": function["code"]}
    if isinstance(arguments, str):
        with suppress(ValueError, RecursionError):
            arguments = json.loads(arguments)
    try:
        made = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False, default=str)
    except RecursionError:
        made = json.dumps({"name": name, "arguments": None}, ensure_ascii=False, default=str)
    return f"<tool_call>\n{made}\n</tool_call>"


def _said(message: Mapping[str, Any]) -> str:
    content = message.get("content", message.get("value", message.get("text")))
    if content is None or message.get("type") == "reasoning":
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        texts = [part if isinstance(part, str) else _part(part) for part in content]
        return "".join(text for text in texts if text)
    raise NoCompletionError(f"a message whose content is {_described(content)}")


def _part(part: Any) -> str | None:
    if not isinstance(part, Mapping):
        return None
    if part.get("type") == "tool_use":
        return f"\n{_call(part)}\n"
    text = part.get("text")
    return text if isinstance(text, str) else None


def _described(value: object) -> str:
    match value:
        case bool() | int() | float():
            return f"{type(value).__name__} {value!r}"[:60]
        case Mapping():
            return "an object"
        case Sequence():
            return "a list" if value else "an empty list"
        case _:
            return type(value).__name__
