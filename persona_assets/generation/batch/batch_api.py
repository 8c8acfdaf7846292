"""Requests to the provider's Batch API: uploads, batches and downloads.

Each request returns its result or an AttemptFailure. Written against the Batch API of OpenAI
(https://platform.openai.com/docs/guides/batch and the API reference of files and batches), which
others have copied.
"""

import os
import re
import threading
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from persona_assets.generation.batch.batch_files import Batch
from persona_assets.generation.calls.attempt_failure import (
    RETRIED,
    AttemptFailure,
    failure_of_response,
    parse_object,
    retry_after,
)
from persona_assets.generation.calls.client import CONNECT, openai_arguments
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.error_reply import quoted
from persona_assets.generation.calls.redaction import Redactor
from persona_assets.generation.journal.call_record import as_list, as_object

if TYPE_CHECKING:
    import httpx2
    from openai import OpenAI

TAG = "persona_assets"
"""Metadata key by which a batch at the provider is matched to a batch on disk."""

SKEW = 86_400
"""Seconds of possible difference between the clocks of the provider and this machine."""

CODE_PATTERN = re.compile(r"[a-z_]{1,48}")
"""Form of a provider's error code; no other text of the provider enters an error message."""


def open_client(endpoint: Endpoint) -> "OpenAI":
    """Return a client without retries of its own.

    Raises:
        EndpointRefused: The API key is missing.
    """
    import httpx2
    from openai import OpenAI

    return OpenAI(
        **openai_arguments(endpoint, endpoint.api_key(), "/batches"),
        timeout=httpx2.Timeout(endpoint.timeout, connect=min(CONNECT, endpoint.timeout)),
        max_retries=0,
    )


class BatchAPI:
    """Requests to the provider, a method per request.

    An AttemptFailure with a `stop` sentence is final, unless its code is "gone": a batch made a
    moment ago may not be known everywhere yet. With the code "too_large", a smaller batch may
    succeed.

    Args:
        stopping: Event that ends an upload or a download between two chunks.

    Attributes:
        reached: True if the provider has responded to any request.
    """

    def __init__(self, client: "OpenAI", endpoint: Endpoint, stopping: threading.Event) -> None:
        self._client = client
        self._endpoint = endpoint
        self._stopping = stopping
        self.reached = False
        self._redactor = Redactor(client.api_key)

    def find_upload(self, batch: Batch) -> dict[str, Any] | AttemptFailure:
        """Find the complete upload of a batch's input file; empty if there is none."""
        query = {"purpose": "batch", "order": "desc", "limit": 1000}
        return self._find(
            "/files",
            query,
            batch.made,
            lambda file: file.get("filename") == batch.filename and file.get("bytes") == batch.size,
        )

    def upload(self, batch: Batch, path: Path) -> dict[str, Any] | AttemptFailure:
        """Upload a batch's input file."""
        with _StoppableFile(path, self._stopping) as file:
            return self._request_object(
                lambda: (
                    self._client.files.with_raw_response.create(
                        file=(batch.filename, file), purpose="batch"
                    ).http_response
                )
            )

    def find(self, batch: Batch) -> dict[str, Any] | AttemptFailure:
        """Find the provider's batch for a batch on disk; empty if there is none."""

        def matches(other: Mapping[str, Any]) -> bool:
            tag = as_object(other.get("metadata")).get(TAG)
            return other.get("input_file_id") == batch.file_id if tag is None else tag == batch.tag

        return self._find("/batches", {"limit": 100}, batch.made, matches)

    def create(self, batch: Batch) -> dict[str, Any] | AttemptFailure:
        """Create the batch of an upload: from here on the batch costs money."""
        body = {
            "input_file_id": batch.file_id,
            "endpoint": batch.url,
            "completion_window": "24h",
            "metadata": {TAG: batch.tag},
        }
        return self._request_object(
            lambda: self._client.post("/batches", cast_to=_response(), body=body)
        )

    def retrieve(self, batch: Batch) -> dict[str, Any] | AttemptFailure:
        """Poll the state of a batch."""
        return self._get(f"/batches/{quote(batch.batch_id, safe='')}", known=batch)

    def download(self, batch: Batch, file_id: str, path: Path) -> AttemptFailure | None:
        """Download a file of the provider to `path`, synced, with the API key redacted."""

        def stream() -> "httpx2.Response":
            path.unlink(missing_ok=True)
            with (
                self._client.files.with_streaming_response.content(file_id) as response,
                path.open("wb") as file,
            ):
                # The tail is held back, so that a key across two chunks is whole in the next round.
                tail, held_back = b"", max(len(self._redactor) - 1, 0)
                for chunk in response.iter_bytes(1 << 16):
                    if self._stopping.is_set():
                        break
                    data = self._redactor.redact_bytes(tail + chunk)
                    file.write(data[: len(data) - held_back])
                    tail = data[len(data) - held_back :] if held_back else b""
                file.write(tail)
                file.flush()
                os.fsync(file.fileno())
                return response.http_response

        outcome = self._send(stream, known=batch)
        if isinstance(outcome, AttemptFailure):
            return outcome
        if path.stat().st_size == 0:
            # For example no errors. The number of results reveals whether some are missing.
            return None
        with path.open("rb") as lines:
            if any(
                (parse_object(line.decode("utf-8", "replace")) or {}).get("custom_id")
                for line in lines
            ):
                return None
        stop = (
            f"{self._endpoint.host} answers with something else than the results of the batch "
            f"{batch.name}, which are paid for: run again later."
        )
        return AttemptFailure("gone", "HTTP 200 without results", stop=stop, status_code=200)

    def _find(
        self,
        path: str,
        query: dict[str, object],
        since: float,
        matches: Callable[[Mapping[str, Any]], bool],
    ) -> dict[str, Any] | AttemptFailure:
        """Find the newest item of a paged listing that matches and is not older than `since`."""
        after = ""
        while True:
            page = self._get(path, {**query, "after": after} if after else query)
            if isinstance(page, AttemptFailure):
                return page
            items = [as_object(item) for item in as_list(page.get("data"))]
            match = next(filter(matches, items), None)
            if match is not None:
                return match
            times = [
                item["created_at"] for item in items if isinstance(item.get("created_at"), int)
            ]
            # An old item ends the search only if the listing begins with the newest item.
            old = bool(times) and times[-1] < min(times[0], since - SKEW)
            last_id = items[-1].get("id") if items else None
            if old or not page.get("has_more") or not isinstance(last_id, str) or last_id == after:
                return {}
            after = last_id

    def _get(
        self, path: str, query: Mapping[str, object] | None = None, known: Batch | None = None
    ) -> dict[str, Any] | AttemptFailure:
        return self._request_object(
            lambda: self._client.get(path, cast_to=_response(), options={"params": query or {}}),
            known,
        )

    def _request_object(
        self, request: "Callable[[], httpx2.Response]", known: Batch | None = None
    ) -> dict[str, Any] | AttemptFailure:
        response = self._send(request, known)
        if isinstance(response, AttemptFailure):
            return response
        body = parse_object(
            self._redactor.redact_bytes(response.content).decode("utf-8", "replace")
        )
        message = f"HTTP {response.status_code} without a JSON object"
        return body or AttemptFailure("malformed", message, status_code=response.status_code)

    def _send(
        self, request: "Callable[[], httpx2.Response]", known: Batch | None = None
    ) -> "httpx2.Response | AttemptFailure":
        # Exceptions of the client contain the key, so they end here and become no context.
        import httpx2
        import openai

        try:
            response = request()
        except openai.APIStatusError as error:
            self.reached = True
            text = self._redactor.redact_bytes(error.response.content).decode("utf-8", "replace")
            return self._failure(error.status_code, error.response.headers, text, known)
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            cause = error.__cause__ or error
            connected = not isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)
            reason = "the connection broke" if connected else "no connection"
            return AttemptFailure("connection", reason, connected=connected)
        self.reached = True
        return response

    def _failure(
        self, status: int, headers: Mapping[str, str], text: str, known: Batch | None
    ) -> AttemptFailure:
        failure = failure_of_response(self._endpoint, status, headers, text)
        error = as_object(as_object(failure.body).get("error"))
        host = self._endpoint.host
        code = failure.code
        if status in (404, 405) and known is not None:
            code = "gone"
            stop = (
                f"{host} does not know the batch {known.name} or its files any more ({status}): run"
                f" with the API key that sent it, or remove the files {known.name}.* beside the "
                "journal to send its requests again, which may pay for them twice."
            )
        elif status in (404, 405):
            stop = (
                f'{host} offers no Batch API at this address ({status}): set transport = "online"'
                " for this role, or correct base_url (it usually ends in /v1)."
            )
        else:
            stop = "" if failure.evidence == "status" and status != 403 else failure.stop
        if status == 413 or (status == 400 and "too large" in failure.message.lower()):
            code = "too_large"
        if not stop and code not in RETRIED:
            shown = provider_code(error.get("code")) or provider_code(error.get("type"))
            stop = (
                f"{host} refuses this batch ({status}{shown and f', {shown}'}): correct the role's "
                "settings, or set its transport to online; what was answered is kept. It says: "
                f"{quoted('' if failure.reply is None else failure.reply.message)}"
            )
        return AttemptFailure(
            code,
            failure.message,
            wait=retry_after(headers),
            stop=stop,
            status_code=status,
            body=failure.body,
        )


def provider_code(value: object) -> str:
    """Return an error code that may be shown; empty for a value of another form.

    Example:
        >>> provider_code("model_not_found"), provider_code("Your key is sk-123")
        ('model_not_found', '')
    """
    return value if isinstance(value, str) and CODE_PATTERN.fullmatch(value) else ""


def _response() -> "type[httpx2.Response]":
    import httpx2

    return httpx2.Response


class _StoppableFile(FileIO):
    """File that an event stops from being read further."""

    def __init__(self, path: Path, stopping: threading.Event) -> None:
        super().__init__(path, "rb")
        self._stopping = stopping

    def read(self, size: int | None = -1, /) -> bytes:
        if self._stopping.is_set():
            raise OSError("the run was stopped")
        return super().read(-1 if size is None else size)
