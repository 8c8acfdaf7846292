"""Evidence that no call of a run can succeed, from the refusals and the successes so far."""

import re

from persona_assets.generation.calls.attempt_failure import AttemptFailure

FEW = 5
"""Number of different calls that must get the same refusal where a single one proves too little."""

QUOTED_PART = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`")


class Refusals:
    """Refusals of an endpoint in a run.

    A refusal stops the run if it concerns all calls:

    - of the account, at once;
    - of key, model or permission, as a code or phrase names them: at once, unless a call has
      succeeded; then once FEW calls in a row got it;
    - for any other reason: if each of the first FEW calls that were sent got the same, and none has
      succeeded. First by the time of sending, since a refusal comes faster than an answer.

    Attributes:
        said: Message of the last refusal of a call that has no answer; "" if there is none.
        succeeded: True if a call has an answer, in this run or in the journal: the calls that
            earlier runs have left may be those that are refused for their own sake.

    Example:
        >>> refusals = Refusals()
        >>> for key in "abcde":
        ...     refusals.begin(key)
        >>> failure = AttemptFailure("bad_request", "no", stop="it refuses", evidence="status")
        >>> [refusals.stop_sentence(key, failure) for key in "edcba"]
        ['', '', '', '', 'it refuses']
    """

    def __init__(self) -> None:
        self.said = ""
        self._first: dict[str, object] = {}
        self._row: set[str] = set()
        self._row_refusal: object = None
        self.succeeded = False

    def begin(self, key: str) -> None:
        """Count a call that is about to be sent."""
        if len(self._first) < FEW:
            self._first.setdefault(key, None)

    def succeed(self) -> None:
        """Count an answer."""
        self.succeeded = True
        self._row.clear()

    def stop_sentence(self, key: str, failure: AttemptFailure) -> str:
        """Count a failure; return the sentence that ends the run, or "" if the run goes on."""
        if failure.evidence == "call":
            return ""
        if failure.evidence == "account":
            return failure.stop
        refusal = same(failure)
        if key in self._first:
            self._first[key] = refusal
        if refusal != self._row_refusal:
            self._row.clear()
            self._row_refusal = refusal
        self._row.add(key)
        if failure.evidence == "named":
            stops = not self.succeeded or len(self._row) >= FEW
        else:
            stops = (
                not self.succeeded
                and len(self._first) == FEW
                and set(self._first.values()) == {refusal}
            )
        return failure.stop if stops else ""


def same(failure: AttemptFailure) -> object:
    """Return a value that is equal for equal refusals: status, code, and message without its parts.

    Quoted parts and words with a digit differ from call to call.

    Example:
        >>> same(AttemptFailure("bad_request", "HTTP 400: no 'x' in req_1"))
        (None, 'bad_request', 'HTTP no in')
    """
    words = QUOTED_PART.sub("", failure.message).split()
    plain = " ".join(word for word in words if not any(char.isdigit() for char in word))
    return failure.status_code, failure.code, plain
