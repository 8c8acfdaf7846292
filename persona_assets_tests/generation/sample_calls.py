"""Calls for the tests of this package, and the API key with which they are sent."""

from persona_assets.generation import Call, CallRecord, call_key

KEY_VARIABLE = "PERSONA_ASSETS_TEST_KEY"
CANARY = "sk-canary-7f3a9b1c5d2e"


def call(message: str, index: int = 0) -> Call:
    """Return a call that the fault server knows by its message."""
    url = "/chat/completions"
    body = {"model": "test-model", "messages": [{"role": "user", "content": message}]}
    return Call(call_key("test-model", url, body, index), url, body)


def content(record: CallRecord) -> str:
    """Return the text of a record's answer."""
    return str(record.choice["message"]["content"])
