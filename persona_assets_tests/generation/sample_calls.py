"""Calls that every test here may send, and the key they are sent with."""

from persona_assets.generation import Call, call_key

KEY_VARIABLE = "PERSONA_ASSETS_TEST_KEY"
CANARY = "sk-canary-7f3a9b1c5d2e"


def call(message: str, index: int = 0) -> Call:
    """A call that the fault server knows by `message`."""
    url = "/chat/completions"
    body = {"model": "test-model", "messages": [{"role": "user", "content": message}]}
    return Call(call_key("test-model", url, body, index), url, body)
