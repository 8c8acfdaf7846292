"""Model server that answers a repeated question anew, as a model at a temperature does."""

import threading
from collections import Counter
from typing import Any

from persona_assets_tests.generation.fault_server import chat
from persona_assets_tests.model_server import ModelServer, answer, key_of, prompt_of


class SamplingServer(ModelServer):
    """Model server with other answers to the repeated questions of some prompts.

    Args:
        prompts: Names of these prompts.
    """

    def __init__(self, *prompts: str) -> None:
        super().__init__()
        self._sampled = prompts
        self._times = Counter[str]()
        self._lock = threading.Lock()

    def reply(self, message: str, body: dict[str, Any]) -> str:
        if "input" in body or prompt_of(body) not in self._sampled:
            return super().reply(message, body)
        with self._lock:
            self._times[key_of(body)] += 1
            sample = {"role": "system", "content": f"sample {self._times[key_of(body)]}"}
        return chat(answer({**body, "messages": [sample, *body["messages"]]}))
