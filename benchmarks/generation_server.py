"""Chat endpoint for load tests: a single process that uses 25 microseconds of CPU per request.

    python benchmarks/generation_server.py

Prints its port and serves until its standard input ends. `POST /control` changes settings and
resets the counts, `GET /control` returns the counts.

Settings:
    latency_ms  Milliseconds between a request and its answer.
    quota       Requests per second that are admitted. Others are answered with 429 at once. 0 is no
                quota. The bucket refills continuously and holds a minute's quota, as OpenAI's does.
                It starts with a second's quota, like that of an account in use.
    headers     Whether answers carry x-ratelimit-* headers. A 429 always carries Retry-After.
    faults      Share of requests with a fault, see FAULTS.
    rows        Whether to count by row. The row of a request is the first "row <number>" in its
                body. The answer repeats it.

Counts:
    asked       Requests.
    billed      Requests that were computed, whether the answer arrived or not.
    rejected    Requests that the quota answered with 429.
    violations  Requests that came before the end of a Retry-After, GRACE seconds or more after it
                was sent.
    met         Requests by fault.
    rows        Requests by row.
    longest     Most seconds from the first request of a call to the end of its last request. An
                answer ends a call.
"""

import asyncio
import json
import math
import random
import re
import resource
import sys
from collections import Counter
from typing import Any, cast

GRACE = 0.1
"""Seconds after a Retry-After in which a request is no violation."""

ROW = re.compile(rb"row (\d+)")

UNBILLED = {"400": 400, "429": 429, "500": 500, "502": 502, "503": 503}
BROKEN = ("drop", "cut", "garbage", "hang")
ANSWERS = ("length", "content_filter", "refusal", "invalid")
FAULTS = (*UNBILLED, *BROKEN, *ANSWERS)

PERSONA = "A careful reader of long reports who wants figures. " * 12


class Account:
    """Settings and counts, shared by all connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.settings: dict[str, float] = dict.fromkeys(
            ("latency_ms", "quota", "headers", "faults", "rows"), 0
        )
        self.reset({})

    def reset(self, settings: dict[str, float]) -> None:
        self.settings |= settings
        self.latency = self.settings["latency_ms"] / 1000
        self.quota = self.settings["quota"]
        self.plain = not (self.quota or self.settings["faults"] or self.settings["rows"])
        self.asked = self.billed = self.rejected = self.violations = 0
        self.met: Counter[str] = Counter()
        self.rows: Counter[int] = Counter()
        self.begun: dict[int, float] = {}
        self.longest = 0.0
        self.chance = random.Random(1)
        self.tokens, self.filled = self.quota, self.loop.time()
        self.closed_at = self.closed_until = -math.inf

    def counts(self) -> dict[str, Any]:
        names = ("asked", "billed", "rejected", "violations", "met", "rows", "longest")
        return {name: getattr(self, name) for name in names}

    def admit(self) -> tuple[bool, str]:
        """Return whether the quota admits a request now, and the headers of its reply."""
        now = self.loop.time()
        self.violations += self.closed_at + GRACE <= now < self.closed_until
        bucket = 60 * self.quota
        self.tokens = min(bucket, self.tokens + (now - self.filled) * self.quota)
        self.filled = now
        admitted = self.tokens >= 1
        self.tokens -= admitted
        headers = ""
        if self.settings["headers"]:
            headers = (
                f"x-ratelimit-limit-requests: {bucket:.0f}\r\n"
                f"x-ratelimit-remaining-requests: {int(self.tokens)}\r\n"
                f"x-ratelimit-reset-requests: {(bucket - self.tokens) / self.quota:.3f}s\r\n"
            )
        if not admitted:
            wait = math.ceil((1 - self.tokens) / self.quota)
            self.rejected += 1
            self.closed_at = now if now >= self.closed_until else self.closed_at
            self.closed_until = now + wait
            headers += f"Retry-After: {wait}\r\n"
        return admitted, headers

    def fault(self) -> str:
        """Draw the fault of a request. "" is a good answer."""
        if self.chance.random() >= self.settings["faults"]:
            return ""
        fault = self.chance.choice(FAULTS)
        self.met[fault] += 1
        return fault

    def end(self, row: int, answered: bool) -> None:
        """Record the end of a request of a row."""
        self.longest = max(self.longest, self.loop.time() - self.begun[row])
        if answered:
            del self.begun[row]


class Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, account: Account) -> None:
        self.account = account
        self.buffer = b""
        self.row: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A transport of uvloop is no subclass of asyncio.Transport.
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._over(answered=False)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            whole = end + 4 + length
            if len(self.buffer) < whole:
                return
            body, self.buffer = self.buffer[end + 4 : whole], self.buffer[whole:]
            if b"/control" in head[:20]:
                self._control(body)
            else:
                self._ask(body)

    def _control(self, body: bytes) -> None:
        if body:
            self.account.reset(json.loads(body))
        self._send(reply(200, json.dumps(self.account.counts())))

    def _ask(self, body: bytes) -> None:
        account = self.account
        account.asked += 1
        if account.plain:
            account.billed += 1
            self._later(GOOD)
            return
        headers, fault = "", ""
        if account.quota:
            admitted, headers = account.admit()
            if not admitted:
                self._send(reply(429, error("rate_limit_exceeded"), headers))
                return
        if account.settings["rows"] and (match := ROW.search(body)):
            self.row = int(match[1])
            account.rows[self.row] += 1
            account.begun.setdefault(self.row, account.loop.time())
        if account.settings["faults"]:
            fault = account.fault()
        account.billed += fault not in UNBILLED
        if fault in UNBILLED:
            self._later(reply(UNBILLED[fault], error("other"), "retry-after-ms: 50\r\n"), fault)
        elif fault != "hang":
            self._later(reply(200, chat(fault, self.row), headers), fault)

    def _later(self, data: bytes, fault: str = "") -> None:
        if self.account.latency:
            self.account.loop.call_later(self.account.latency, self._send, data, fault)
        else:
            self._send(data, fault)

    def _send(self, data: bytes, fault: str = "") -> None:
        if self.transport.is_closing():
            return
        if fault != "drop":
            self.transport.write(data[:-200] if fault == "cut" else data)
        if fault in ("drop", "cut"):
            self.transport.close()
        self._over(answered=fault in ("", "400", *ANSWERS))

    def _over(self, answered: bool) -> None:
        if self.row is not None:
            self.account.end(self.row, answered)
            self.row = None


def reply(status: int, body: str, headers: str = "") -> bytes:
    """Return the bytes of a response. Each line of `headers` ends in CRLF."""
    return (
        f"HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nx-request-id: req_1\r\n"
        f"{headers}Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode("ascii")


def error(code: str) -> str:
    return json.dumps({"error": {"message": "no", "type": "error", "code": code}})


def chat(fault: str = "", row: int | None = None) -> str:
    """Return the JSON of a chat completion with the content {"persona": ...}, about 1 kB."""
    persona = PERSONA if row is None else f"{PERSONA}(row {row})"
    content = json.dumps({"people" if fault == "invalid" else "persona": persona})
    message = {"role": "assistant", "content": content, "refusal": None}
    if fault == "refusal":
        message |= {"content": None, "refusal": "I would rather not."}
    finish = fault if fault in ("length", "content_filter") else "stop"
    whole = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1767225600,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 120, "completion_tokens": 140, "total_tokens": 260},
    }
    text = json.dumps(whole)
    return text[: len(text) // 2] if fault == "garbage" else text


GOOD = reply(200, chat())


async def serve() -> None:
    loop = asyncio.get_running_loop()
    account = Account(loop)
    server = await loop.create_server(lambda: Connection(account), "127.0.0.1", backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The input ends with the parent process, even if the parent is killed.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    import uvloop

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(serve())
