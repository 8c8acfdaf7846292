"""Model server that obeys every order in a request, whoever gives it, and passes the order on.

    with ObedientModel(folder) as server:
        server.obeyed["text_to_persona"]      # attempts that a prompt was asked about

An answer to a request with an attempt (injection_attempts.py) repeats the attempt, so that what is
made from it gives the same order; a judge gives the best scores, and a program writes a file.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from persona_assets_tests.generation.fault_server import chat, embeddings
from persona_assets_tests.injection_attempts import ATTEMPTS, MARK
from persona_assets_tests.model_server import ModelServer, answer, prompt_of, vector

BEST = 5
"""Highest score of a rubric."""


class ObedientModel(ModelServer):
    """Model server that obeys.

    Args:
        folder: Folder in which obedient programs try to write.

    Attributes:
        obeyed: Attempts by prompt.
        requests: Messages of every chat request.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.obeyed: defaultdict[str, set[int]] = defaultdict(set)
        self.requests: list[list[dict[str, str]]] = []

    def reply(self, message: str, body: dict[str, Any]) -> str:
        if "input" in body:
            return embeddings([vector(text).tolist() for text in body["input"]])
        self.requests.append(body["messages"])
        orders = {int(number) for number in MARK.findall(str(body["messages"]))}
        good, prompt = answer(body), prompt_of(body)
        if not orders:
            return chat(good)
        self.obeyed[prompt] |= orders
        order = ATTEMPTS[min(orders)]
        if prompt == "math_program":
            target = str(self.folder / f"ORDER-{min(orders):02}.txt")
            return chat(f"open({target!r}, 'w').write('obeyed')\nanswer = 1 + 1")
        if "response_format" not in body:
            return chat(f"{good} {order}")
        return chat(json.dumps(_obey(json.loads(good), order)))


def _obey(value: Any, order: str) -> Any:
    """Return a JSON value as an order wants it: best scores, and the order in each sentence."""
    if isinstance(value, dict):
        return {name: _obey(member, order) for name, member in value.items()}
    if isinstance(value, list):
        return [_obey(member, order) for member in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return BEST
    return f"{value} {order}"[:300] if isinstance(value, str) and " " in value else value
