"""Files of batches on disk: their requests and their states.

A folder beside the journal contains for each open batch:

    NAME.json      state; the batch exists as long as this file exists
    NAME.requests  input file
    NAME.tickets   for each line of the input file: [key, attempt, prompt version, worst case], and
                   the parameters sent in place of the request's own, if there are any
    NAME.output    responses of the provider, once the step is "finished"
    NAME.errors    errors of the provider, once the step is "finished"

A state is written to a scratch file, synced and renamed before the next step begins.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from time import time
from typing import Any, Literal, NamedTuple
from uuid import uuid4

from persona_assets.generation.calls.call import Call
from persona_assets.generation.journal.journal import JournalBusy
from persona_assets.storage.files import make_folder

KINDS = ("requests", "tickets", "output", "errors", "scratch")


class Ticket(NamedTuple):
    """Members of a request that its line does not contain.

    Args:
        attempt: Number of the attempt, from 1.
        prompt_version: Version of the prompt, for the record.
        most: Worst case in US dollars.
        sent: See `CallRecord.sent`.
    """

    attempt: int
    prompt_version: str
    most: Decimal
    sent: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """State of a batch.

    Args:
        name: Name of our own, part of the names of the upload and the batch at the provider.
        url: URL of the requests, as in their lines.
        requests: Number of requests.
        size: Size of the input file in bytes.
        made: Unix time of its creation.
        most: Worst case of all requests in US dollars.
        parent: Name of the batch that was split; as long as that batch exists, this batch has not
            been sent.
        step: Last completed step.
        charged: Scopes whose caps were charged (see Spending.scopes); None before any charge.
        file_id: Id of the upload at the provider.
        batch_id: Id of the batch at the provider.
        round: Number of earlier batches at the provider, all failed, with the same requests.
    """

    name: str
    url: str
    requests: int
    size: int
    made: float
    most: str
    parent: str = ""
    step: Literal["prepared", "uploaded", "created", "finished"] = "prepared"
    charged: str | None = None
    file_id: str = ""
    batch_id: str = ""
    round: int = 0

    @property
    def filename(self) -> str:
        """File name of the upload."""
        return f"persona_assets-{self.name}.jsonl"

    @property
    def tag(self) -> str:
        """Value of the metadata by which the batch is found at the provider."""
        return f"{self.name}.{self.round}"


class BatchFolder:
    """Folder of the batches of a journal, locked until `close`.

    Raises:
        JournalBusy: Another opener has locked the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        make_folder(path)
        self._handle = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise JournalBusy(f"{path} is held by another run: wait for it to end") from None

    def close(self) -> None:
        """Unlock the folder, and remove an empty folder."""
        with suppress(OSError):
            self.path.rmdir()
        os.close(self._handle)

    def file(self, batch: Batch, kind: str) -> Path:
        """Return the path of a file of a batch; `kind` is its suffix."""
        return self.path / f"{batch.name}.{kind}"

    def load(self) -> list[Batch]:
        """Return the open batches, oldest first, and delete files that belong to no open batch."""
        states = (json.loads(path.read_bytes()) for path in self.path.glob("*.json"))
        batches = {state["name"]: Batch(**state) for state in states}
        for batch in list(batches.values()):
            if batch.parent in batches:
                self.remove(batches.pop(batch.name))
        for path in list(self.path.iterdir()):
            if path.suffix[1:] in KINDS and path.stem not in {*batches, "refused"}:
                path.unlink()
        return sorted(batches.values(), key=lambda batch: (batch.made, batch.name))

    def save(self, batch: Batch) -> Batch:
        """Write a state to disk, synced."""
        scratch = self.file(batch, "scratch")
        # A download abandoned by a closed run may still write into the old scratch file.
        scratch.unlink(missing_ok=True)
        with scratch.open("wb") as file:
            file.write(json.dumps(asdict(batch)).encode())
            file.flush()
            os.fsync(file.fileno())
        self.publish_scratch(batch, "json")
        return batch

    def publish_scratch(self, batch: Batch, kind: str) -> None:
        """Rename the scratch file, which must be synced, to its final name."""
        self.file(batch, "scratch").replace(self.file(batch, kind))
        os.fsync(self._handle)

    def remove(self, batch: Batch) -> None:
        """End a batch: delete its files, its state first."""
        self.file(batch, "json").unlink(missing_ok=True)
        os.fsync(self._handle)
        for kind in KINDS:
            self.file(batch, kind).unlink(missing_ok=True)

    def set_aside(self, batch: Batch) -> Path:
        """End a refused batch; return its input file, kept until the next refused batch."""
        input_file = self.path / "refused.requests"
        self.file(batch, "json").unlink()
        self.file(batch, "requests").replace(input_file)
        self.remove(batch)
        return input_file

    def tickets(self, batch: Batch) -> dict[str, Ticket]:
        """Return the tickets by key, in the order of the requests."""
        with self.file(batch, "tickets").open("rb") as lines:
            rows = map(json.loads, lines)
            return {
                key: Ticket(attempt, prompt_version, Decimal(most), *sent)
                for key, attempt, prompt_version, most, *sent in rows
            }

    def bodies(self, batch: Batch) -> Iterator[tuple[str, dict[str, Any]]]:
        """Iterate over key and body of the requests."""
        with self.file(batch, "requests").open("rb") as lines:
            for line in map(json.loads, lines):
                yield line["custom_id"], line["body"]

    def results(self, batch: Batch) -> Iterator[bytes]:
        """Iterate over the lines of the output file, then of the error file."""
        for kind in ("output", "errors"):
            path = self.file(batch, kind)
            if path.exists():
                with path.open("rb") as lines:
                    yield from lines

    def split(self, batch: Batch, parts: Sequence[Mapping[str, Ticket]]) -> list[Batch]:
        """End a batch and make a batch of each part of its requests.

        A crash in between leaves either the batch or the parts. Empty parts are skipped.

        Args:
            parts: New tickets by key; the line of a request follows its ticket's `sent`.
        """
        files = [InputFile(self, batch.url, batch.name) for part in parts if part]
        part_of = {key: n for n, part in enumerate(filter(None, parts)) for key in part}
        tickets = {key: ticket for part in parts for key, ticket in part.items()}
        with self.file(batch, "requests").open("rb") as lines:
            for (key, old), line in zip(self.tickets(batch).items(), lines, strict=True):
                if key in tickets:
                    ticket = tickets[key]
                    line = line if ticket.sent == old.sent else _changed(line, ticket.sent or {})
                    files[part_of[key]].add(key, line, ticket)
        children = [file.close() for file in files]
        self.remove(batch)
        return children


class InputFile:
    """Input file that `close` turns into a batch and `discard` deletes.

    Args:
        url: URL of all requests.
        parent: Name of the batch that is split.

    Attributes:
        requests: Number of lines.
        inputs: Number of lines as counted by the provider's limit (see `count_inputs`).
        size: Size in bytes.
    """

    def __init__(self, folder: BatchFolder, url: str, parent: str = "") -> None:
        self.url = url
        self.requests = self.inputs = self.size = 0
        self._folder = folder
        self._most = Decimal(0)
        self._parent = parent
        self._name = uuid4().hex
        self._requests = (folder.path / f"{self._name}.requests").open("wb")
        self._tickets = (folder.path / f"{self._name}.tickets").open("wb")

    def add(self, key: str, line: bytes, ticket: Ticket, inputs: int = 1) -> None:
        """Append a request."""
        self._requests.write(line)
        row: list[Any] = [key, ticket.attempt, ticket.prompt_version, str(ticket.most)]
        if ticket.sent:
            row.append(ticket.sent)
        self._tickets.write(json.dumps(row).encode() + b"\n")
        self.requests += 1
        self.inputs += inputs
        self.size += len(line)
        self._most += ticket.most

    def close(self) -> Batch:
        """Sync the files and return the new batch, whose state is on disk."""
        for file in (self._requests, self._tickets):
            file.flush()
            os.fsync(file.fileno())
            file.close()
        return self._folder.save(
            Batch(
                name=self._name,
                url=self.url,
                requests=self.requests,
                size=self.size,
                made=time(),
                most=str(self._most),
                parent=self._parent,
            )
        )

    def discard(self) -> None:
        """Delete the files, which were never sent."""
        for file in (self._requests, self._tickets):
            file.close()
            Path(file.name).unlink()


def batch_url(call: Call) -> str:
    """Return the call's URL as the Batch API writes it, independent of the endpoint's base URL."""
    return f"/v1{call.url}"


def request_line(call: Call, body: Mapping[str, Any]) -> bytes:
    """Return a call as a line of an input file, newline included.

    Args:
        call: Call to send.
        body: Its body in the words of the provider, model included.
    """
    return _line(
        {
            "custom_id": call.key,
            "method": "POST",
            "url": batch_url(call),
            "body": body,
        }
    )


def _changed(line: bytes, sent: Mapping[str, Any]) -> bytes:
    """Return a line of an input file with other parameters; null leaves one out."""
    request = json.loads(line)
    body = {**request["body"], **sent}
    left_out = {name for name, value in sent.items() if value is None}
    request["body"] = {name: value for name, value in body.items() if name not in left_out}
    return _line(request)


def _line(request: Mapping[str, Any]) -> bytes:
    line = json.dumps(request, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return line.encode() + b"\n"
    except UnicodeEncodeError:
        # Lone surrogates cannot be encoded as UTF-8.
        return json.dumps(request, separators=(",", ":")).encode() + b"\n"


def count_inputs(call: Call) -> int:
    """Return the weight of a call in the limit on requests: embeddings count each input.

    Example:
        >>> count_inputs(Call("key", "/embeddings", {"input": ["a", "b"]}))
        2
    """
    inputs = call.body.get("input")
    return max(1, len(inputs)) if isinstance(inputs, list) else 1
