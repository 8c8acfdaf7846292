"""A conversation in the forms that fine-tuning libraries read."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Message = Mapping[str, str]
"""Message with `role` ("system", "user" or "assistant") and `content`."""

Messages = Sequence[Message]


def as_messages(messages: Messages) -> dict[str, Any]:
    """Return TRL's conversational form, which is that of OpenAI's fine-tuning, too."""
    return {"messages": [dict(message) for message in messages]}


def as_prompt_completion(messages: Messages) -> dict[str, Any]:
    """Return TRL's form of a prompt and its completion: the last message."""
    *prompt, completion = messages
    return {"prompt": [dict(message) for message in prompt], "completion": [dict(completion)]}


def as_alpaca(messages: Messages) -> dict[str, Any]:
    """Return the form of Alpaca, with `system` and `history` as LLaMA-Factory adds them.

    Example:
        >>> as_alpaca(
        ...     [
        ...         {"role": "user", "content": "How high is the tide?"},
        ...         {"role": "assistant", "content": "Two metres."},
        ...     ]
        ... )
        {'instruction': 'How high is the tide?', 'input': '', 'output': 'Two metres.', 'system': '', 'history': []}
    """  # noqa: E501
    system, turns = _without_system(messages)
    pairs = [list(pair) for pair in zip(turns[::2], turns[1::2], strict=True)]
    *history, (instruction, output) = pairs
    return {
        "instruction": instruction,
        "input": "",
        "output": output,
        "system": system,
        "history": history,
    }


def as_sharegpt(messages: Messages) -> dict[str, Any]:
    """Return the form of ShareGPT: `conversations` of `from` and `value`, and `system`."""
    system, turns = _without_system(messages)
    speakers = ("human", "gpt")
    conversations = [
        {"from": speakers[place % 2], "value": text} for place, text in enumerate(turns)
    ]
    return {"conversations": conversations, "system": system}


def _without_system(messages: Messages) -> tuple[str, list[str]]:
    system = "\n\n".join(each["content"] for each in messages if each["role"] == "system")
    return system, [each["content"] for each in messages if each["role"] != "system"]


LINES: Mapping[str, Callable[[Messages], dict[str, Any]]] = {
    "alpaca": as_alpaca,
    "sharegpt": as_sharegpt,
    "openai": as_messages,
}
"""Formats of JSON lines by name, beside the Parquet files."""

LLAMA_FACTORY = {
    "alpaca": {
        "formatting": "alpaca",
        "columns": {
            "prompt": "instruction",
            "query": "input",
            "response": "output",
            "system": "system",
            "history": "history",
        },
    },
    "sharegpt": {
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system"},
    },
    "openai": {
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    },
}
"""Description of each format in LLaMA-Factory's `dataset_info.json`."""
