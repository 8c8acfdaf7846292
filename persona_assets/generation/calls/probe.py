"""Probe: a tiny call to an endpoint before the first real call of its model and shape.

Belongs here: when a probe is sent, and what its failure means. Does not belong here: the content of
a probe (probe_shapes.py), and requests of the Batch API, which meet other limits, prices and
deployments than a direct call: a probe would prove nothing about them.
"""

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack
from difflib import get_close_matches
from typing import Protocol

from persona_assets.generation.calls.attempt_failure import ADAPTED, stop_sentence
from persona_assets.generation.calls.call import Call
from persona_assets.generation.calls.endpoint import Endpoint
from persona_assets.generation.calls.error_reply import quoted
from persona_assets.generation.calls.errors import (
    EndpointError,
    EndpointRefused,
    EndpointUnreachable,
)
from persona_assets.generation.calls.free_requests import listed_models
from persona_assets.generation.calls.probe_shapes import ProbedShapes, form_of, tiny_calls
from persona_assets.generation.journal.call_record import CallRecord, as_object
from persona_assets.generation.journal.journal import Journal, JournalBusy
from persona_assets.generation.money.usage import Usage
from persona_assets.generation.parsing.model_names import other_model
from persona_assets.generation.providers import Meaning

PATIENCE = 60.0
"""Seconds to wait for the probe of another process before calls are sent without one."""

POLL = 0.1
"""Seconds between two looks at the lease of the journal."""

NEAREST = 3
"""Number of listed models that an error names."""

REFUSED = frozenset(Meaning) - {Meaning.FILTER, Meaning.RATE_LIMIT, Meaning.OVERLOADED}
"""Failures that a person has to cure."""

LIMITED = ADAPTED | {Meaning.CONTEXT}
"""Failures that may be of the probe's small limit: thinking alone may need more tokens."""


class Sender(Protocol):
    """Sends calls and stores their records; `Engine` does."""

    usage: Usage

    def send(self, calls: Iterable[Call]) -> Generator[CallRecord]:
        """Yield a record per call."""


class Probe:
    """Probes an endpoint and model for the calls of a session.

    Args:
        endpoint: Endpoint and model.
        probed: Shapes that need no probe.
        journal: Journal of all probes of the project, not open.
        open_sender: Returns the engine that sends a probe, given the open journal.
        report: Called with a line per probe.

    Attributes:
        usage: Calls, tokens and money of the probes.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        probed: ProbedShapes,
        journal: Journal,
        open_sender: Callable[[Journal], Sender],
        report: Callable[[str], None],
    ) -> None:
        self.usage = Usage()
        self._endpoint = endpoint
        self._probed = probed
        self._journal = journal
        self._open_sender = open_sender
        self._report = report
        self._checked = set[tuple[str, ...]]()

    def check(self, call: Call) -> None:
        """Make sure that the shape of a call has been answered once in this project.

        Raises:
            EndpointError: The probe failed; the message names the remedy.
            BudgetReached: The probe could exceed a cap.
        """
        # Adaptations that real calls add need no probe in the same session.
        known = (form_of(call.url, call.body), *call.body)
        if known not in self._checked:
            if call not in self._probed:
                self._probe(call)
            self._checked.add(known)

    def forget(self) -> None:
        """Probe each shape again in the next run, since the endpoint refused this one."""
        self._probed.forget()

    def _probe(self, call: Call) -> None:
        with ExitStack() as stack:
            if not self._lease(stack):
                self._report(
                    f"another process has been probing for {PATIENCE:.0f} s: calls to "
                    f"{self._endpoint.model} at {self._endpoint.host} are sent without a probe"
                )
            elif call not in self._probed:
                sender = self._open_sender(self._journal)
                try:
                    self._send(sender, call)
                finally:
                    self.usage += sender.usage

    def _lease(self, stack: ExitStack) -> bool:
        """Open the journal, once no other process probes; return False if one still does."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                stack.enter_context(self._journal)
            except JournalBusy:
                time.sleep(POLL)
            else:
                return True
        return False

    def _send(self, sender: Sender, call: Call) -> None:
        names = listed_models(self._endpoint)
        unlisted = unlisted_clause(self._endpoint.model, names)
        record = None
        for tiny in tiny_calls(call, self._probed):
            try:
                [record] = sender.send([tiny])
            except (EndpointRefused, EndpointUnreachable) as error:
                if not sender.usage.attempts:
                    raise
                raise type(error)(f"{self._failed(call)}: {error}{unlisted}") from None
            if record.failure not in LIMITED:
                break
        assert record is not None, "there is at least one tiny call"
        # A prompt that the content filter refuses has reached the model.
        if record.failure not in (None, Meaning.FILTER):
            kind = EndpointRefused if record.failure in REFUSED else EndpointError
            raise kind(f"{self._failed(call)}: {self._reason(record)}{unlisted}")
        self._probed.add(call)
        usage = sender.usage
        money = "of unknown price" if usage.unpriced else f"{usage.cost:.6f} US dollars"
        self._report(
            f"probe: {self._endpoint.model} at {self._endpoint.host} answers "
            f"{self._probed.shape(call)} ({usage.calls} calls, {money}){unlisted}"
        )

    def _failed(self, call: Call) -> str:
        return (
            f"The probe of the model {self._endpoint.model!r} at {self._endpoint.host} failed "
            f"({self._probed.shape(call)}), so no call of that shape was sent"
        )

    def _reason(self, record: CallRecord) -> str:
        """Return why a probe failed, and the remedy."""
        said = quoted(as_object(record.error).get("message") or "nothing")
        if record.failure not in REFUSED:
            return f"it said {said}. Run again when the endpoint is well."
        remedy = stop_sentence(self._endpoint, Meaning(record.failure), record.status_code or 0)
        return f"{remedy} It says: {said}"


def unlisted_clause(model: str, names: Sequence[str]) -> str:
    """Return a clause on a model that is not among the listed names; "" if it is, or none are.

    Example:
        >>> unlisted_clause("gpt-4o", ["openai/gpt-4o-2024-08-06"]), unlisted_clause("gpt-4o", [])
        ('', '')
        >>> unlisted_clause("gtp-4o", ["gpt-4o", "whisper-1"])
        '; the endpoint does not list that model among its 2; nearest: gpt-4o'
    """
    if not names or any(not other_model(model, name) for name in names):
        return ""
    by_word = {name.lower().rpartition("/")[2]: name for name in names}
    word = model.lower().rpartition("/")[2]
    nearest = [by_word[name] for name in get_close_matches(word, by_word, NEAREST)]
    # The names are the endpoint's own words.
    shown = ", ".join(quoted(name).strip('"') for name in nearest or sorted(names)[:NEAREST])
    return f"; the endpoint does not list that model among its {len(names)}; nearest: {shown}"
