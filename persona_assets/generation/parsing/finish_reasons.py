"""Finish reasons: the endpoint's word for the end of an answer, and its meaning.

A word that is missing here is one more entry in `_WORDS`: records are judged again whenever they
are read, so that no answer has to be paid for twice.
"""

import re
from functools import lru_cache
from typing import Literal

Finish = Literal[
    "whole", "truncated", "full", "filtered", "refused", "spoiled", "failed", "unknown"
]
"""Meaning of a finish reason.

whole: the model ended its answer. truncated: the limit of tokens cut it off. full: the model's
context is full, so that a larger limit is of no use. filtered: a content filter cut it off.
refused: the model declined. spoiled: the model went astray (a tool call that nobody offered,
endless repetition); another sample may do better. failed: the endpoint broke off; the same request
may succeed. unknown: a word without an entry."""

_WORDS: dict[Finish, str] = {
    "whole": """
        stop stopped stop_sequence stop_str stop_string stop_string_found stop_token stop_word
        stop_words eos eos_token eos_found eot end end_turn end_of_turn end_of_text end_of_sequence
        endoftext complete completed done finished final normal natural success null none
        <|eot_id|> <|im_end|> <|end|> <|return|> <|endoftext|> <end_of_turn> </s>
    """,
    "truncated": """
        length length_capped limit token_limit max max_token max_tokens max_length max_new_tokens
        max_output max_output_tokens max_completion_tokens max_predicted_tokens_reached
        max_tokens_reached truncated incomplete not_finished error_limit
    """,
    "full": """
        model_length model_context_window_exceeded context_window_exceeded context_length
        context_length_exceeded context_length_reached max_context_length
    """,
    "filtered": """
        content_filter content_filtered content_filtering content_policy content_policy_violation
        filter filtered safety image_safety recitation language blocklist prohibited_content spii
        sensitive censored blocked moderation moderated policy_violation error_toxic
        guardrail guardrails guardrail_intervened
    """,
    "refused": "refusal refused",
    "spoiled": """
        tool_call tool_calls tool_use function_call malformed_function_call malformed_tool_call
        malformed_model_output unexpected_tool_call too_many_tool_calls repetition
    """,
    "failed": """
        error errored failed failure abort aborted cancel cancelled canceled user_cancel
        user_cancelled interrupted timeout timed_out disconnect disconnected network_error
        server_error internal_error upstream_error model_error malformed_response
        insufficient_system_resource insufficient_system_resources overloaded model_unloaded
    """,
}

_MEANINGS = {word: finish for finish, words in _WORDS.items() for word in words.split()}

FAILED = frozenset(word for word, finish in _MEANINGS.items() if finish == "failed")
"""Words of an answer that the endpoint broke off, in the form that `normalized` returns."""

_PREFIXES = re.compile(r"^(?:.*\.)?(?:(?:finish|stop)_?reason_)?")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEPARATOR = re.compile(r"[\s-]+")
_UNSAFE = re.compile(r"[^a-z0-9_.:<>|/ -]")


def finish_of(reason: object) -> Finish:
    """Return the meaning of a finish reason; a missing or empty one is that of a whole answer.

    Example:
        >>> finish_of("stop"), finish_of("MAX_TOKENS"), finish_of(None), finish_of("tired")
        ('whole', 'truncated', 'whole', 'unknown')
    """
    if reason == "stop":
        return "whole"
    word = finish_text(reason)
    return _finish(word) if word else "whole"


def finish_text(reason: object) -> str | None:
    """Return the word of a finish reason, which some servers wrap into an object; None without one.

    Example:
        >>> finish_text({"type": "length", "length": 9}), finish_text(7), finish_text(None)
        ('length', '7', None)
    """
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason") or "object"
    if reason is None or isinstance(reason, str):
        return reason
    return str(reason) if isinstance(reason, int | float) else type(reason).__name__


def shown(reason: object) -> str:
    """Return a finish reason as it may be shown: at most 40 plain characters.

    Example:
        >>> shown("Tired; <b>"), shown("x" * 100) == "x" * 40
        ('tired? <b>', True)
    """
    return _UNSAFE.sub("?", (finish_text(reason) or "")[:40].lower())


def normalized(reason: str) -> str:
    """Return a word in the form of the table.

    Example:
        >>> normalized("FINISH_REASON_STOP"), normalized("endTurn"), normalized("content-filter")
        ('stop', 'end_turn', 'content_filter')
    """
    word = _SEPARATOR.sub("_", _CAPITAL.sub("_", reason[:80].strip()).lower())
    return _PREFIXES.sub("", word)


@lru_cache(maxsize=1024)
def _finish(reason: str) -> Finish:
    word = normalized(reason)
    return _MEANINGS.get(word, "unknown") if word else "whole"
