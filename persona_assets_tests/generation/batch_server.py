"""Small Batch API on 127.0.0.1, like OpenAI's, in memory, with scripted faults.

    with BatchServer(lines={"row 3": ["500"]}, ends=["expired"]) as server:
        Endpoint(model="m", base_url=server.url, batch_poll=0.02)
        server.sent[key]

The script of a server has a step for each request of a kind, each line and each batch:

    faults  by kind of request (upload, files, content, create, batches, retrieve, cancel): "ok"; a
            status such as "500" or "429-quota"; "html"; "drop-early" (no effect, no response) and
            "drop" (effect, but no response); "cut" and "short" (half a response, with and without a
            sign of it in HTTP); "hang"; "kill-early", "kill" and "kill-late" (kill the process
            named by the header x-pid before the effect, before the response, after the response)
    lines   by a request's last message: "ok", a status such as "400", "404-model" or "429-quota",
            "missing", "twice", "garbage", "malformed", "expired" or "timeout"
    ends    by batch, in order of creation: "completed"; "expired" and "cancelled" (half the
            requests have lines with this error), "expired-bare" (half the requests have no line);
            "failed:CODE"

Lists begin with the newest item and have `page` items per page. Results have no reliable order.

    python -m persona_assets_tests.generation.batch_server [LARGEST]

serves until its standard input ends, then prints a summary of the requests.
"""

import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

MOST_REQUESTS = 50_000
MOST_BYTES = 200_000_000


class BatchServer:
    """Batch API in a thread of its own.

    Args:
        faults: Steps by kind of request.
        lines: Steps by a request's last message.
        ends: Ends of the batches.
        looks: Number of polls until a batch ends.
        queue: Highest number of requests in open batches; a further batch fails with
            token_limit_exceeded.
        largest: Highest size of an upload in bytes; a larger upload gets status 413.
        page: Number of items per page of a list.
        tagged: True if batches show their metadata.

    Attributes:
        uploads: Uploads as the API shows them, oldest first.
        batches: Batches as the API shows them, oldest first.
        hold: True if open batches must not end.
        counts: Number of requests by kind.
        sent: By custom_id, number of started batches that contained the request.
        billed: By custom_id, number of responses.
        most_under_way: Highest number of batches open at once.
    """

    def __init__(
        self,
        *,
        faults: Mapping[str, Sequence[str]] | None = None,
        lines: Mapping[str, Sequence[str]] | None = None,
        ends: Sequence[str] = (),
        looks: int = 1,
        queue: int | None = None,
        largest: int = MOST_BYTES,
        page: int = 10_000,
        tagged: bool = True,
    ) -> None:
        self.faults = {kind: list(steps) for kind, steps in (faults or {}).items()}
        self.lines = {message: list(steps) for message, steps in (lines or {}).items()}
        self.ends = list(ends)
        self.looks = looks
        self.queue = queue
        self.largest = largest
        self.page = page
        self.tagged = tagged
        self.hold = False
        self.counts: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.billed: Counter[str] = Counter()
        self.authorizations: set[str] = set()
        self.most_under_way = 0
        self.uploads: list[dict[str, Any]] = []
        self.batches: list[dict[str, Any]] = []
        self.content: dict[str, bytes] = {}
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self._looks: dict[str, int] = {}
        self._results: dict[str, tuple[list[bytes], list[bytes]]] = {}
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def requests(self, upload: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the requests of an upload."""
        return [json.loads(line) for line in self.content[upload["id"]].splitlines()]

    def add_file(self, name: str, data: bytes, purpose: str) -> dict[str, Any]:
        """Store a file and return it as the API shows it."""
        with self.lock:
            file_id = f"file-{len(self.content)}"
            self.content[file_id] = data
            file = {
                "id": file_id,
                "object": "file",
                "bytes": len(data),
                "created_at": int(time.time()),
                "filename": name,
                "purpose": purpose,
                "status": "processed",
            }
            if purpose == "batch":
                self.uploads.append(file)
            return file

    def add_batch(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Create the batch of an upload; return None if there is no such upload."""
        with self.lock:
            if request["input_file_id"] not in {upload["id"] for upload in self.uploads}:
                return None
            batch = {
                "id": f"batch_{len(self.batches)}",
                "object": "batch",
                "endpoint": request["endpoint"],
                "input_file_id": request["input_file_id"],
                "completion_window": request["completion_window"],
                "metadata": request.get("metadata") if self.tagged else None,
                "status": "validating",
                "created_at": int(time.time()),
                "output_file_id": None,
                "error_file_id": None,
                "errors": None,
                "request_counts": {"total": 0, "completed": 0, "failed": 0},
            }
            self.batches.append(batch)
            end = self.ends.pop(0) if self.ends else "completed"
            self._begin(batch, end)
            return batch

    def look(self, batch: dict[str, Any]) -> None:
        """Advance a batch by a poll."""
        with self.lock:
            if batch["status"] in ("validating", "in_progress") and not self.hold:
                self._looks[batch["id"]] -= 1
                batch["status"] = "in_progress"
                if self._looks[batch["id"]] <= 0:
                    self._end(batch)

    def cancel(self, batch: dict[str, Any]) -> None:
        """End a batch without results."""
        with self.lock:
            if batch["status"] in ("validating", "in_progress"):
                self._results[batch["id"]] = ([], [])
                batch["end"] = "cancelled"
                self._end(batch)

    def step(self, kind: str) -> str:
        """Count a request and return the step of its script."""
        with self.lock:
            self.counts[kind] += 1
            steps = self.faults.get(kind)
            return steps.pop(0) if steps else "ok"

    def _begin(self, batch: dict[str, Any], end: str) -> None:
        requests = self.requests({"id": batch["input_file_id"]})
        code = self._invalid(batch, requests)
        under_way = [b for b in self.batches if b["status"] in ("validating", "in_progress")]
        self.most_under_way = max(self.most_under_way, len(under_way))
        total = sum(other["request_counts"]["total"] for other in under_way)
        if not code and self.queue is not None and total + len(requests) > self.queue:
            code = "token_limit_exceeded"
        if end.startswith("failed:"):
            code = end.removeprefix("failed:")
        if code:
            batch["status"] = "failed"
            error = {"code": code, "message": "no, " * 50, "line": 1, "param": None}
            batch["errors"] = {"object": "list", "data": [error]}
            return
        batch["end"] = end
        batch["request_counts"]["total"] = len(requests)
        self._looks[batch["id"]] = self.looks
        self.sent.update(request["custom_id"] for request in requests)
        # As with a provider, results have another order than requests.
        output: list[bytes] = []
        errors: list[bytes] = []
        for number, request in reversed(list(enumerate(requests))):
            key = request["custom_id"]
            if end == "completed" or number % 2 == 0:
                self._answer(request, output, errors)
            elif end != "expired-bare":
                errors.append(_result(key, error=f"batch_{end}"))
        self._results[batch["id"]] = (output, errors)

    def _invalid(self, batch: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> str:
        if len(requests) > MOST_REQUESTS:
            return "too_many_tasks"
        if len({request["custom_id"] for request in requests}) < len(requests):
            return "duplicate_custom_id"
        if any(request["url"] != batch["endpoint"] for request in requests):
            return "mismatched_url"
        return "" if requests else "empty_file"

    def _answer(self, request: Mapping[str, Any], output: list[bytes], errors: list[bytes]) -> None:
        key, body = request["custom_id"], request["body"]
        message = str(body["input"]) if "input" in body else body["messages"][-1]["content"]
        steps = self.lines.get(message)
        step = steps.pop(0) if steps else "ok"
        status, _, kind = step.partition("-")
        if step in ("ok", "twice"):
            self.billed[key] += 1
            vectors = {"data": [{"embedding": [0.5]}] * len(body.get("input", ()))}
            response = answer(message) if "messages" in body else vectors
            output += [_result(key, response)] * (2 if step == "twice" else 1)
        elif step.startswith("finish:"):
            self.billed[key] += 1
            response = answer(message)
            response["choices"][0]["finish_reason"] = step.removeprefix("finish:")
            output.append(_result(key, response))
        elif step == "malformed":
            output.append(_result(key, {"choices": []}))
        elif step == "garbage":
            output.append(b'{"custom_id": "' + key.encode() + b'", "respo')
        elif step in ("expired", "timeout"):
            code = {"expired": "batch_expired", "timeout": "request_timeout"}[step]
            errors.append(_result(key, error=code))
        elif step != "missing":
            code = {"model": "model_not_found", "quota": "insufficient_quota"}.get(kind, "other")
            # A careless provider may repeat the API key that it received.
            message = f"your key was {min(self.authorizations)} " * 40
            response = {"error": {"message": message, "type": "error", "code": code}}
            errors.append(_result(key, response, status=int(status)))

    def _end(self, batch: dict[str, Any]) -> None:
        output, errors = self._results[batch["id"]]
        # An empty string stands for a missing file, as some providers have it.
        for member, lines in (("output_file_id", output), ("error_file_id", errors)):
            data = b"".join(line + b"\n" for line in lines)
            file = self.add_file("results.jsonl", data, "batch_output") if lines else {"id": ""}
            batch[member] = file["id"]
        batch["status"] = batch["end"].removesuffix("-bare")
        batch["request_counts"] |= {"completed": len(output), "failed": len(errors)}


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: BatchServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore the broken connections of killed clients."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Http

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def _serve(self, body: bytes) -> None:
        owner = self.server.owner
        with owner.lock:
            owner.authorizations.add(self.headers.get("Authorization", ""))
        path = urlsplit(self.path)
        names = path.path.removeprefix("/v1/").split("/")
        kind = _kind(self.command, names)
        step = owner.step(kind)
        if step in ("drop-early", "hang"):
            owner.closing.wait(60 if step == "hang" else 0)
            self.close_connection = True
            return
        if step == "kill-early":
            self._kill()
            return
        if step not in ("ok", "cut", "short", "drop", "kill", "kill-late"):
            self._refuse(step)
            return
        with owner.lock:
            status, answer = self._do(kind, names, parse_qs(path.query), body)
        if step == "drop":
            self.close_connection = True
            return
        if step == "kill":
            self._kill()
            return
        answer = answer[: len(answer) // 2] if step == "short" else answer
        self._send(status, answer, cut=step == "cut")
        if step == "kill-late":
            self.wfile.flush()
            self._kill()

    def _do(
        self, kind: str, names: Sequence[str], query: Mapping[str, list[str]], body: bytes
    ) -> tuple[int, bytes]:
        owner = self.server.owner
        match kind:
            case "upload":
                name, data = _upload(self.headers["Content-Type"], body)
                if len(data) > owner.largest:
                    return 413, _error("too_large")
                return 200, _json(owner.add_file(name, data, "batch"))
            case "files":
                return 200, self._listed(owner.uploads, query)
            case "content" if names[1] in owner.content:
                return 200, owner.content[names[1]]
            case "create":
                batch = owner.add_batch(json.loads(body))
                return (404, _error("no_file")) if batch is None else (200, _json(batch))
            case "batches":
                return 200, self._listed(owner.batches, query)
            case "retrieve" | "cancel":
                for batch in owner.batches:
                    if batch["id"] == names[1]:
                        (owner.look if kind == "retrieve" else owner.cancel)(batch)
                        return 200, _json(batch)
        return 404, _error("not_found")

    def _listed(self, items: Sequence[dict[str, Any]], query: Mapping[str, list[str]]) -> bytes:
        newest = list(reversed(items))
        [after] = query.get("after", [""])
        start = next((n for n, item in enumerate(newest, 1) if item["id"] == after), 0)
        size = min(self.server.owner.page, int(query.get("limit", ["20"])[0]))
        page = newest[start : start + size]
        more = len(newest) > start + size
        return _json({"object": "list", "data": page, "has_more": more})

    def _kill(self) -> None:
        os.kill(int(self.headers["x-pid"]), signal.SIGKILL)
        self.close_connection = True

    def _refuse(self, step: str) -> None:
        if step == "html":
            self._send(200, b"<html>hello</html>", kind="text/html")
            return
        status, _, kind = step.partition("-")
        code = {"quota": "insufficient_quota", "": "other"}.get(kind, kind)
        # A careless provider may repeat the API key that it received.
        self._send(int(status), _error(code, f"your key was {self.headers['Authorization']}"))

    def _send(
        self, status: int, data: bytes, *, cut: bool = False, kind: str = "application/json"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut


def answer(message: str) -> dict[str, Any]:
    """Return the body of a successful chat completion."""
    reply = {"role": "assistant", "content": f"answer to {message}", "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "test-model-2026",
        "choices": [{"index": 0, "message": reply, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def _kind(method: str, names: Sequence[str]) -> str:
    match [method, *names]:
        case ["POST", "files"]:
            return "upload"
        case ["GET", "files"]:
            return "files"
        case ["GET", "files", _, "content"]:
            return "content"
        case ["POST", "batches"]:
            return "create"
        case ["GET", "batches"]:
            return "batches"
        case ["GET", "batches", _]:
            return "retrieve"
        case ["POST", "batches", _, "cancel"]:
            return "cancel"
    return "unknown"


def _upload(content_type: str, body: bytes) -> tuple[str, bytes]:
    """Return name and content of the file in a multipart body (RFC 7578)."""
    boundary = b"--" + content_type.partition("boundary=")[2].strip('"').encode()
    start = 0
    while (start := body.find(boundary, start)) >= 0:
        head = body.find(b"\r\n\r\n", start)
        match = re.search(rb'name="file"; filename="([^"]+)"', body[start:head])
        end = body.find(b"\r\n" + boundary, head)
        if match:
            return match[1].decode(), body[head + 4 : end]
        start = end
    raise ValueError("no file was sent")


def _result(
    key: str, body: Mapping[str, Any] | None = None, *, status: int = 200, error: str = ""
) -> bytes:
    response = {"status_code": status, "request_id": f"req_{key}", "body": body}
    line = {
        "id": f"batch_req_{key}",
        "custom_id": key,
        "response": None if error else response,
        "error": {"code": error, "message": "no"} if error else None,
    }
    return _json(line)


def _error(code: str, message: str = "no") -> bytes:
    return _json({"error": {"message": message, "type": "error", "code": code}})


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def main(largest: str = str(MOST_BYTES)) -> None:
    with BatchServer(largest=int(largest)) as server:
        print(server.url, flush=True)
        sys.stdin.read()
        sizes = {upload["id"]: upload["bytes"] for upload in server.uploads}
        files = [
            (batch["request_counts"]["total"], sizes[batch["input_file_id"]])
            for batch in server.batches
        ]
        print(json.dumps({"files": files, "keys": len(server.sent), "sent": server.sent.total()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
