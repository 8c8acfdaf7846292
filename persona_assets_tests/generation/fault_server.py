"""OpenAI-compatible server on 127.0.0.1 that fails on request and counts the calls it bills.

Each call is known by its last user message (or embedding input). `script[message]` lists the steps
of successive attempts; when the list is spent, the answer is good. Probes are counted apart, in
`probes`, and `meets_probe` returns their steps.

    with FaultServer({"row 3": ["500", "hang"]}) as server:
        Endpoint(model="m", base_url=server.url, ...)
        server.billed["row 3"]
"""

import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from persona_assets.generation.calls.probe_shapes import WORDING

MODEL = "test-model-2026"
"""Model that answers, unless the server lists that of the request."""

UNBILLED = re.compile(r"4\d\d|50\d|drop-early")
"""Steps after which the client knows that nothing was computed."""


class FaultServer:
    """Server with counters by message.

    Args:
        script: Steps of successive attempts by message.
        latency: Seconds per answer.
        default: Step of every attempt beyond its script.
        answer: Returns the content of a good answer to a message.
        replies: Status and JSON body by step, for steps of a test's own. A step whose name begins
            with a status of UNBILLED is not counted as billed.
        port: Port to listen at; 0 for any that is free.

    Attributes:
        asked: Requests by message.
        billed: Answers computed by message, arrived or not.
        paused_until: End of the latest Retry-After.
        violations: Requests that arrived before that end.
        probes: Bodies of all probes.
        meets_probe: Returns the step of a probe.
        models: Names of the models that the server lists.
        listing: Status of the list of models.
        key: Key that a request for the list must have; None for any.
    """

    def __init__(
        self,
        script: Mapping[str, Sequence[str]] | None = None,
        *,
        latency: float = 0.0,
        default: str = "ok",
        answer: Callable[[str], str] = lambda message: f"answer to {message}",
        replies: Mapping[str, tuple[int, Any]] | None = None,
        port: int = 0,
    ) -> None:
        self.script = {message: list(steps) for message, steps in (script or {}).items()}
        self.latency = latency
        self.default = default
        self.answer = answer
        self.replies = dict(replies or {})
        self.asked: Counter[str] = Counter()
        self.billed: Counter[str] = Counter()
        self.authorizations: set[str] = set()
        self.bodies: list[dict[str, Any]] = []
        self.probes: list[dict[str, Any]] = []
        self.meets_probe: Callable[[dict[str, Any]], str] = lambda body: "ok"
        self.models: list[str] = []
        self.key: str | None = None
        self.listing = 200
        self.in_flight = self.most_in_flight = self.violations = 0
        self.paused_until = 0.0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        self._listen(port)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def _listen(self, port: int) -> None:
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.refuse_connections()

    def refuse_connections(self) -> None:
        """Accept no new connection; open connections stay open."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def go_away(self) -> None:
        """Break all connections and accept no new one, as a server that was killed."""
        self.refuse_connections()
        self._http.break_connections()

    def come_back(self) -> None:
        """Accept connections again, at the same address."""
        self._listen(self._http.server_address[1])
        self._thread.start()

    def wait_for(self, calls: int) -> None:
        """Return once `calls` calls have been billed."""
        give_up = time.monotonic() + 60
        while self.billed.total() < calls:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{self.billed.total()} of {calls} calls came within 60 s")
            time.sleep(0.002)

    def wait_for_requests(self, number: int) -> None:
        """Return once a number of requests has come."""
        give_up = time.monotonic() + 60
        while self.asked.total() < number:
            if time.monotonic() > give_up:
                raise TimeoutError(f"{self.asked.total()} of {number} requests came within 60 s")
            time.sleep(0.002)

    def begin(self, message: str, authorization: str, body: dict[str, Any]) -> str:
        """Count a request and return its step."""
        with self.lock:
            self.authorizations.add(authorization)
            self.in_flight += 1
            if is_probe(message):
                self.probes.append(body)
                return self.meets_probe(body)
            self.asked[message] += 1
            self.bodies.append(body)
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.violations += time.monotonic() < self.paused_until
            step = self.step(message, body)
            if not UNBILLED.match(step):
                self.billed[message] += 1
            return step

    def step(self, message: str, body: dict[str, Any]) -> str:
        """Return the step of an attempt; called under the lock."""
        steps = self.script.get(message)
        return steps.pop(0) if steps else self.default

    def reply(self, message: str, body: dict[str, Any]) -> str:
        """Return a good answer as JSON."""
        if "input" in body:
            return embeddings([[0.25, -0.5]])
        return chat(self.answer(message))

    def listed(self) -> list[str]:
        """Return the names of the models that the server lists."""
        return self.models

    def health(self) -> int:
        """Return the status of /health, a path that not every server has."""
        return 404

    def name_for(self, body: dict[str, Any]) -> str:
        """Return the name that an answer states: that of the request if the server lists it."""
        return str(body["model"]) if body["model"] in self.listed() else MODEL

    def end(self) -> None:
        with self.lock:
            self.in_flight -= 1

    def pause(self, seconds: float) -> None:
        with self.lock:
            self.paused_until = max(self.paused_until, time.monotonic() + seconds)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512
    owner: FaultServer

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self.connections: list[socket.socket] = []

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection and remember it."""
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def break_connections(self) -> None:
        """Break all connections that are still open."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a client that was killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Http

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        status = self.server.owner.listing if self.path == "/v1/models" else 404
        authorization, key = self.headers.get("Authorization", ""), self.server.owner.key
        if "expired" in authorization or (key is not None and authorization != f"Bearer {key}"):
            status = 401
        if self.path == "/health":
            status = self.server.owner.health()
        models = [{"id": name, "object": "model"} for name in self.server.owner.listed()]
        self._send(status, json.dumps({"object": "list", "data": models}))

    def do_POST(self) -> None:
        owner = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = str(body["input"]) if "input" in body else body["messages"][-1]["content"]
        authorization = self.headers.get("Authorization", "")
        step = owner.begin(message, authorization, body)
        try:
            owner.closing.wait(owner.latency)
            self._meet(step, message, authorization, body)
        finally:
            owner.end()

    def _meet(self, step: str, message: str, authorization: str, body: dict[str, Any]) -> None:
        owner = self.server.owner
        match step:
            case _ if step in owner.replies:
                status, reply = owner.replies[step]
                self._send(status, json.dumps(reply))
            case "ok" if is_probe(message):
                ready = chat("ready") if "messages" in body else embeddings([[0.25, -0.5]])
                self._answer(ready, body)
            case "ok":
                self._answer(owner.reply(message, body), body)
            case "length" | "content_filter":
                self._answer(chat("cut sho", finish=step), body)
            case _ if step.startswith("finish:"):
                self._answer(chat("cut sho", finish=step.removeprefix("finish:")), body)
            case "thinking":
                self._answer(chat("<think>Who would read this?"), body)
            case "refusal":
                self._answer(chat(None, refusal="I would rather not."), body)
            case "hang":
                owner.closing.wait(60)
            case "drop" | "drop-early":
                self.close_connection = True
            case "truncated":
                whole = chat("never arrives whole").encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(whole)))
                self.end_headers()
                self.wfile.write(whole[: len(whole) // 2])
                self.close_connection = True
            case "garbage":
                self._send(200, '{"choices": [')
            case "html-200":
                self._send(200, "<html>hello</html>", kind="text/html")
            case "error-200":
                self._send(200, json.dumps({"error": {"message": "upstream failed", "code": 502}}))
            case "502":
                self._send(502, "<html>Bad gateway</html>", kind="text/html")
            case "429" | "503":
                owner.pause(0.3)
                self._send(int(step), _error("slow_down"), {"Retry-After": "0.3"})
            case "429-together":
                # Waits for another call in flight, so that each later request is a violation.
                while owner.in_flight < 2:
                    time.sleep(0.002)
                owner.pause(0.8)
                self._send(429, _error("slow_down"), {"Retry-After": "0.8"})
            case "slow":
                owner.closing.wait(0.5)
                self._answer(owner.reply(message, body), body)
            case "429-date":
                self._send(429, _error("slow_down"), {"Retry-After": self.date_time_string()})
            case "429-long":
                self._send(429, _error("slow_down"), {"Retry-After": "3600"})
            case "429-quota":
                self._send(429, _error("insufficient_quota"))
            case "400-filter":
                self._send(400, _error("content_filter"))
            case _:
                # As careless as a real server may be: it repeats the key that it was sent.
                self._send(int(step), _error("other", f"your key was {authorization}"))

    def _answer(self, text: str, body: dict[str, Any]) -> None:
        name = self.server.owner.name_for(body)
        self._send(200, text.replace(json.dumps(MODEL), json.dumps(name)))

    def _send(
        self,
        status: int,
        text: str,
        headers: Mapping[str, str] | None = None,
        kind: str = "application/json",
    ) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("x-request-id", self.headers.get("Authorization", "req_1"))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def is_probe(message: str) -> bool:
    """Return True if a request's last message, or its input, is that of a probe."""
    return message.removeprefix("['").startswith(WORDING)


def chat(content: str | None, *, finish: str = "stop", refusal: str | None = None) -> str:
    """Return the JSON of a chat completion."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        }
    )


def embeddings(vectors: Sequence[list[float] | str]) -> str:
    """Return the JSON of embeddings, as numbers or in base64."""
    data = [
        {"object": "embedding", "index": index, "embedding": vector}
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return json.dumps({"object": "list", "data": data, "usage": usage})


def _error(code: str, message: str = "no") -> str:
    return json.dumps({"error": {"message": message, "type": "error", "code": code}})
