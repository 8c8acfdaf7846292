r"""Serve a fine-tuned model of a test: OpenAI's API on 127.0.0.1, whose answers contain its name.

tuned_server.py PATH NAME PORT        # answers "NAME says \boxed{4}"
tuned_server.py PATH NAME PORT MODE   # or fails as MODE says

Each start adds a line to PATH.starts. Where VLLM_API_KEY is set, a request with another key is
refused.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from persona_assets_tests.generation.fault_server import FaultServer, chat


class TunedServer(FaultServer):
    """Server of one model by name."""

    def __init__(self, name: str, port: int, mode: str) -> None:
        super().__init__(port=port)
        self.name = name
        self.mode = mode
        self.began = time.monotonic()
        self.key = os.environ.get("VLLM_API_KEY")

    def listed(self) -> list[str]:
        """Return the name; of another model or none, by mode."""
        return {"other": ["tuned-ffffffffffff"], "unlisted": []}.get(self.mode, [self.name])

    def health(self) -> int:
        """Return 503 for the first half second of the mode "loading"."""
        return 503 if self.mode == "loading" and time.monotonic() < self.began + 0.5 else 200

    def step(self, message: str, body: dict[str, Any]) -> str:
        """Refuse a request to another model, as vLLM does."""
        return super().step(message, body) if body["model"] == self.name else "404"

    def reply(self, message: str, body: dict[str, Any]) -> str:
        """Return an answer that contains the name."""
        return chat(rf"{self.name} says \boxed{{4}}")


path, name, port, *modes = sys.argv[1:]
mode = modes[0] if modes else ""
with Path(f"{path}.starts").open("a") as starts:
    print(name, file=starts)
if mode == "die":
    sys.exit("no kernel image is available for this GPU")
if mode == "silent":
    time.sleep(600)
with TunedServer(name, int(port), mode):
    print(f"serving {name}", flush=True)
    time.sleep(600)
