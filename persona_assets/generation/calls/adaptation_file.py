"""Known adaptations of an endpoint, kept in an append-only file of the project.

A line is a JSON object: host, model, parameter, what is sent in its place, the endpoint's sentence,
time. To forget an adaptation, remove its line or the file. Lines of probes (probe.py) are skipped.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from persona_assets.generation.calls.adaptation import Change, apply_all, joined
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.error_reply import quoted
from persona_assets.generation.journal.call_record import as_object
from persona_assets.generation.providers import provider_of
from persona_assets.storage.files import make_folder


class Adaptations:
    """Changes that calls to an endpoint and model need: documented ones, and those it asked for.

    Args:
        endpoint: Endpoint and model.
        path: File that keeps the changes; None to keep them for this object alone.

    Attributes:
        changes: Changes in force, in their order.
        sentences: A sentence for the user per change that the endpoint asked for.

    Example:
        >>> known = Adaptations(Endpoint(model="m"))
        >>> known.keep([Change("seed")], "Unknown name")
        >>> known.apply({"seed": 1}), known.sentences
        ({}, ['calls to m at the default endpoint are sent with no seed: it said "Unknown name"'])
    """

    def __init__(self, endpoint: Endpoint, path: Path | None = None) -> None:
        self.changes: tuple[Change, ...] = ()
        self._said: dict[Change, str] = {}
        self._proposed: dict[Change, str] = {}
        self._endpoint = endpoint
        self._path = path
        self._place = {"host": _host(endpoint), "model": endpoint.model}
        for change in provider_of(endpoint).changes_for(endpoint.model):
            self._add(change, "")
        for change, said in self._read():
            self._add(change, said)

    @property
    def sentences(self) -> list[str]:
        """A sentence for the user per change that the endpoint asked for."""
        model, host = self._endpoint.model, self._endpoint.host
        return [
            f"calls to {model} at {host} are sent with {change}: it said {quoted(said)}"
            for change in self.changes
            if (said := self._said[change])
        ]

    def apply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body with all changes."""
        return apply_all(self.changes, body)

    def keep(self, changes: Iterable[Change], said: str) -> None:
        """Keep changes with which a call has succeeded.

        Args:
            changes: Changes; those in force already are not written again.
            said: The endpoint's own sentence.

        Raises:
            OSError: The file cannot be written.
        """
        for change in changes:
            if change in self.changes:
                continue
            self._add(change, said)
            if self._path is not None:
                line = {
                    **self._place,
                    "parameter": change.parameter,
                    "to": change.to or None,
                    "said": said[:1000],
                }
                append_line(self._path, line)

    def propose(self, changes: Iterable[Change], said: str) -> None:
        """Remember changes until a call has succeeded with them."""
        self._proposed.update(dict.fromkeys(changes, said))

    def confirm(self, parameters: Iterable[str]) -> None:
        """Keep the proposed changes of parameters that a call has succeeded without."""
        for parameter in set(parameters):
            for change in [c for c in self._proposed if c.parameter == parameter]:
                self.keep([change], self._proposed.pop(change))

    def _add(self, change: Change, said: str) -> None:
        self.changes = joined(self.changes, [change])
        self._said[change] = said

    def _read(self) -> Iterator[tuple[Change, str]]:
        for line in read_lines(self._path):
            change = Change(str(line.get("parameter")), str(line.get("to") or ""))
            if line.items() >= self._place.items() and isinstance(line.get("parameter"), str):
                yield change, str(line.get("said"))


def read_lines(path: Path | None) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a file; damaged lines are skipped, and a missing file is empty."""
    try:
        data = b"" if path is None else path.read_bytes()
    except FileNotFoundError:
        return
    for text in data.splitlines():
        try:
            yield as_object(json.loads(text))
        except (ValueError, RecursionError):
            continue


def append_line(path: Path, content: Mapping[str, Any]) -> None:
    """Append a JSON object and the time by a single write, which other processes do not split."""
    line = json.dumps({**content, "time": datetime.now(UTC).isoformat()}).encode() + b"\n"
    make_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        # A crash may have cut the last line short.
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        os.write(handle, b"\n" + line if torn else line)
        os.fsync(handle)
    finally:
        os.close(handle)


def _host(endpoint: Endpoint) -> str:
    """Return the host, also of an address that the `openai` package reads from the environment."""
    url = os.environ.get("OPENAI_BASE_URL") if endpoint.base_url is None else None
    return urlsplit(url).netloc if url else endpoint.host
