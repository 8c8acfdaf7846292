"""The provider's side of a batch: uploads, batches and downloads, each answered or a Fault.

Written against the Batch API of OpenAI (https://platform.openai.com/docs/guides/batch and the API
reference of files and batches), which others have copied.
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
    AttemptFailure,
    failure_of_response,
    parse_object,
    retry_after,
    stop_sentence,
)
from persona_assets.generation.calls.client import CONNECT, openai_arguments
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.redaction import Redactor
from persona_assets.generation.journal.call_record import TRANSIENT, as_list, as_object

if TYPE_CHECKING:
    import httpx2
    from openai import OpenAI

TAG = "persona_assets"
"""Key of the metadata that says which of our batches one at the provider is."""

SKEW = 86_400
"""Seconds by which the clocks of the provider and of this machine may differ."""

NAME = re.compile(r"[a-z_]{1,48}")
"""What a provider's error code looks like. Nothing else of its words enters a sentence of ours."""


def open_client(endpoint: Endpoint) -> "OpenAI":
    """A client that leaves retries to us. Raises EndpointRefused if the key is missing."""
    import httpx2
    from openai import OpenAI

    return OpenAI(
        **openai_arguments(endpoint, endpoint.api_key(), "/batches"),
        timeout=httpx2.Timeout(endpoint.timeout, connect=min(CONNECT, endpoint.timeout)),
        max_retries=0,
    )


class BatchAPI:
    """One method a request. `stopping` ends an upload or a download between two chunks.

    heard: whether the provider has ever answered anything.

    A Fault with a `stop` sentence cannot be mended by trying again, unless its code is "gone":
    what was made a moment ago may not be known everywhere yet. Code "too_large": send less at once.
    """

    def __init__(self, client: "OpenAI", endpoint: Endpoint, stopping: threading.Event) -> None:
        self._client = client
        self._endpoint = endpoint
        self._stopping = stopping
        self.heard = False
        self._secret = Redactor(client.api_key)

    def find_upload(self, batch: Batch) -> dict[str, Any] | AttemptFailure:
        """The whole upload of a batch's input file; empty if there is none."""
        query = {"purpose": "batch", "order": "desc", "limit": 1000}
        return self._find(
            "/files",
            query,
            batch.made,
            lambda it: it.get("filename") == batch.filename and it.get("bytes") == batch.size,
        )

    def upload(self, batch: Batch, path: Path) -> dict[str, Any] | AttemptFailure:
        """Uploads a batch's input file."""
        with _Source(path, self._stopping) as file:
            return self._ask(
                lambda: (
                    self._client.files.with_raw_response.create(
                        file=(batch.filename, file), purpose="batch"
                    ).http_response
                )
            )

    def find(self, batch: Batch) -> dict[str, Any] | AttemptFailure:
        """The provider's batch of one of ours; empty if there is none."""

        def ours(it: Mapping[str, Any]) -> bool:
            tag = as_object(it.get("metadata")).get(TAG)
            return it.get("input_file_id") == batch.file_id if tag is None else tag == batch.tag

        return self._find("/batches", {"limit": 100}, batch.made, ours)

    def create(self, batch: Batch) -> dict[str, Any] | AttemptFailure:
        """Starts a batch of an upload: from here on it costs money."""
        body = {
            "input_file_id": batch.file_id,
            "endpoint": batch.url,
            "completion_window": "24h",
            "metadata": {TAG: batch.tag},
        }
        return self._ask(lambda: self._client.post("/batches", cast_to=_response(), body=body))

    def retrieve(self, batch: Batch) -> dict[str, Any] | AttemptFailure:
        """How far a batch has come."""
        return self._get(f"/batches/{quote(batch.batch_id, safe='')}", known=batch)

    def download(self, batch: Batch, file_id: str, path: Path) -> AttemptFailure | None:
        """Writes a file of the provider's to `path`, durable, without the API key."""

        def stream() -> "httpx2.Response":
            path.unlink(missing_ok=True)
            with (
                self._client.files.with_streaming_response.content(file_id) as response,
                path.open("wb") as file,
            ):
                # A key that is cut in two by a chunk's end is whole in the next round.
                tail, kept = b"", max(len(self._secret) - 1, 0)
                for chunk in response.iter_bytes(1 << 16):
                    if self._stopping.is_set():
                        break
                    data = self._secret.redact_bytes(tail + chunk)
                    file.write(data[: len(data) - kept])
                    tail = data[len(data) - kept :] if kept else b""
                file.write(tail)
                file.flush()
                os.fsync(file.fileno())
                return response.http_response

        outcome = self._send(stream, known=batch)
        if isinstance(outcome, AttemptFailure):
            return outcome
        if path.stat().st_size == 0:
            # No errors, say. Results that are missing are noticed by their number.
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
        fits: Callable[[Mapping[str, Any]], bool],
    ) -> dict[str, Any] | AttemptFailure:
        """The newest member of a paged listing that fits and is not older than `since`."""
        after = ""
        while True:
            page = self._get(path, {**query, "after": after} if after else query)
            if isinstance(page, AttemptFailure):
                return page
            items = [as_object(item) for item in as_list(page.get("data"))]
            found = next(filter(fits, items), None)
            if found is not None:
                return found
            times = [it["created_at"] for it in items if isinstance(it.get("created_at"), int)]
            # Only where the newest come first does an old one end the search.
            old = bool(times) and times[-1] < min(times[0], since - SKEW)
            name = items[-1].get("id") if items else None
            if old or not page.get("has_more") or not isinstance(name, str) or name == after:
                return {}
            after = name

    def _get(
        self, path: str, query: Mapping[str, object] | None = None, known: Batch | None = None
    ) -> dict[str, Any] | AttemptFailure:
        return self._ask(
            lambda: self._client.get(path, cast_to=_response(), options={"params": query or {}}),
            known,
        )

    def _ask(
        self, request: "Callable[[], httpx2.Response]", known: Batch | None = None
    ) -> dict[str, Any] | AttemptFailure:
        response = self._send(request, known)
        if isinstance(response, AttemptFailure):
            return response
        said = parse_object(self._secret.redact_bytes(response.content).decode("utf-8", "replace"))
        message = f"HTTP {response.status_code} without a JSON object"
        return said or AttemptFailure("malformed", message, status_code=response.status_code)

    def _send(
        self, request: "Callable[[], httpx2.Response]", known: Batch | None = None
    ) -> "httpx2.Response | AttemptFailure":
        # Exceptions of the client, which know the key, end here and are nobody's context.
        import httpx2
        import openai

        try:
            response = request()
        except openai.APIStatusError as error:
            self.heard = True
            text = self._secret.redact_bytes(error.response.content).decode("utf-8", "replace")
            return self._fault(error.status_code, error.response.headers, text, known)
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            cause = error.__cause__ or error
            connected = not isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)
            reason = "the connection broke" if connected else "no connection"
            return AttemptFailure("connection", reason, connected=connected)
        self.heard = True
        return response

    def _fault(
        self, status: int, headers: Mapping[str, str], text: str, known: Batch | None
    ) -> AttemptFailure:
        fault = failure_of_response(self._endpoint, status, headers, text)
        error = as_object(as_object(fault.body).get("error"))
        names = {str(error.get("code")), str(error.get("type"))}
        host = self._endpoint.host
        code = fault.code
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
            stop = stop_sentence(self._endpoint, status, names)
        if status == 413 or (status == 400 and "too large" in fault.message.lower()):
            code = "too_large"
        if not stop and code not in TRANSIENT:
            said = provider_code(error.get("code")) or provider_code(error.get("type"))
            stop = (
                f"{host} refuses this batch ({status}{said and f', {said}'}): correct the role's "
                "settings, or set its transport to online; what was answered is kept."
            )
        return AttemptFailure(
            code,
            fault.message,
            wait=retry_after(headers),
            stop=stop,
            status_code=status,
            body=fault.body,
        )


def provider_code(value: object) -> str:
    """An error code as it may be shown; empty if it does not look like one."""
    return value if isinstance(value, str) and NAME.fullmatch(value) else ""


def _response() -> "type[httpx2.Response]":
    import httpx2

    return httpx2.Response


class _Source(FileIO):
    """A file whose reader is stopped by an event."""

    def __init__(self, path: Path, stopping: threading.Event) -> None:
        super().__init__(path, "rb")
        self._stopping = stopping

    def read(self, size: int | None = -1, /) -> bytes:
        if self._stopping.is_set():
            raise OSError("the run was stopped")
        return super().read(-1 if size is None else size)
