"""What batches leave on disk: their requests, and how far each has come.

A folder beside the journal holds, for each batch that has not ended:

    NAME.json      its state: a batch exists from the moment this file does until it is removed
    NAME.requests  its input file
    NAME.tickets   for each line of the input file: [key, attempt, prompt version, most it may cost]
    NAME.output    what the provider answered, once the state says "finished"
    NAME.errors

A state is written to a scratch name, synced and renamed, and only then does the next step begin.
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
from typing import Literal, NamedTuple
from uuid import uuid4

from persona_assets.generation.calls.call import Call
from persona_assets.generation.journal.completion_store import make_folder
from persona_assets.generation.journal.journal import JournalBusy

KINDS = ("requests", "tickets", "output", "errors", "scratch")


class Ticket(NamedTuple):
    """What is known of one request beside its line: which attempt it is, and what it may cost."""

    attempt: int
    prompt_version: str
    most: Decimal


@dataclass(frozen=True, slots=True)
class Batch:
    """How far one batch has come.

    name: our own; the upload and the batch at the provider carry it.
    url: of its requests, as in their lines. size: of the input file, in bytes. made: Unix time.
    most: what its requests may cost at worst; charged: whose caps that was taken from (see
        Spending.scopes), None if from nobody's yet.
    parent: the batch whose requests these are; until that one is gone, nothing was sent.
    round: how many batches the provider made of it and failed, before the one meant now.
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
        """Name of the upload."""
        return f"persona_assets-{self.name}.jsonl"

    @property
    def tag(self) -> str:
        """Metadata of the batch at the provider."""
        return f"{self.name}.{self.round}"


class BatchFolder:
    """The batches of one journal, held by one opener at a time. `close` gives the folder back.

    Raises JournalBusy if another holds it.
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
        """Gives the folder back, and removes it if nothing is left in it."""
        with suppress(OSError):
            self.path.rmdir()
        os.close(self._handle)

    def file(self, batch: Batch, kind: str) -> Path:
        """Path of one of a batch's files."""
        return self.path / f"{batch.name}.{kind}"

    def load(self) -> list[Batch]:
        """The batches that have not ended, oldest first. Clears away what was never sent."""
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
        """Makes a state durable."""
        scratch = self.file(batch, "scratch")
        # A download that a closed run has left behind may yet write into the old one.
        scratch.unlink(missing_ok=True)
        with scratch.open("wb") as file:
            file.write(json.dumps(asdict(batch)).encode())
            file.flush()
            os.fsync(file.fileno())
        self.keep(batch, "json")
        return batch

    def keep(self, batch: Batch, kind: str) -> None:
        """Gives the scratch file, which must be synced, its lasting name."""
        self.file(batch, "scratch").replace(self.file(batch, kind))
        os.fsync(self._handle)

    def remove(self, batch: Batch) -> None:
        """Ends a batch."""
        self.file(batch, "json").unlink(missing_ok=True)
        os.fsync(self._handle)
        for kind in KINDS:
            self.file(batch, kind).unlink(missing_ok=True)

    def set_aside(self, batch: Batch) -> Path:
        """Ends a batch that the provider refused; its input file stays until the next such one."""
        kept = self.path / "refused.requests"
        self.file(batch, "json").unlink()
        self.file(batch, "requests").replace(kept)
        self.remove(batch)
        return kept

    def tickets(self, batch: Batch) -> dict[str, Ticket]:
        """Tickets by key, in the order of the requests."""
        with self.file(batch, "tickets").open("rb") as lines:
            rows = map(json.loads, lines)
            return {key: Ticket(tries, text, Decimal(most)) for key, tries, text, most in rows}

    def results(self, batch: Batch) -> Iterator[bytes]:
        """Lines that the provider answered, successes first."""
        for kind in ("output", "errors"):
            path = self.file(batch, kind)
            if path.exists():
                with path.open("rb") as lines:
                    yield from lines

    def split(self, batch: Batch, parts: Sequence[Mapping[str, Ticket]]) -> list[Batch]:
        """Ends a batch and makes one of each part of its requests, given by their new tickets.

        A crash in between leaves either the batch or the parts.
        """
        files = [InputFile(self, batch.url, batch.name) for part in parts if part]
        part_of = {key: n for n, part in enumerate(filter(None, parts)) for key in part}
        tickets = {key: ticket for part in parts for key, ticket in part.items()}
        with self.file(batch, "requests").open("rb") as lines:
            for key, line in zip(self.tickets(batch), lines, strict=True):
                if key in tickets:
                    files[part_of[key]].add(key, line, tickets[key])
        children = [file.close() for file in files]
        self.remove(batch)
        return children


class InputFile:
    """The input file of a batch to come: `close` makes it one, `discard` nothing.

    requests, size: lines and bytes so far; inputs: what they take of the limit on requests.
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
        """Adds a request."""
        self._requests.write(line)
        row = [key, ticket.attempt, ticket.prompt_version, str(ticket.most)]
        self._tickets.write(json.dumps(row).encode() + b"\n")
        self.requests += 1
        self.inputs += inputs
        self.size += len(line)
        self._most += ticket.most

    def close(self) -> Batch:
        """The batch, durable."""
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
        """Forgets what was added: it was never sent."""
        for file in (self._requests, self._tickets):
            file.close()
            Path(file.name).unlink()


def batch_url(call: Call) -> str:
    """The call's URL as the Batch API names it, whatever the endpoint's base URL."""
    return f"/v1{call.url}"


def request_line(call: Call, model: str) -> bytes:
    """One line of an input file, newline included."""
    request = {
        "custom_id": call.key,
        "method": "POST",
        "url": batch_url(call),
        "body": {"model": model, **call.body},
    }
    line = json.dumps(request, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    try:
        return line.encode() + b"\n"
    except UnicodeEncodeError:
        # Lone surrogates have no UTF-8.
        return json.dumps(request, separators=(",", ":")).encode() + b"\n"


def inputs(call: Call) -> int:
    """How much of the limit on requests a call takes: embeddings count each of their inputs."""
    asked = call.body.get("input")
    return max(1, len(asked)) if isinstance(asked, list) else 1
