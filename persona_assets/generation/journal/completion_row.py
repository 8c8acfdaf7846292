"""A row: a record as it lies in a file of completions."""

import json
from collections.abc import Iterable
from decimal import Context, Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from persona_assets.generation.journal.call_record import CallRecord

if TYPE_CHECKING:
    import pyarrow as pa

_FINEST = Decimal("1e-12")
_MONEY = Context(prec=38)


class CompletionRow(NamedTuple):
    """A record as it lies in a file of completions; None is null, which is unknown.

    `line` is the journal's line where the columns before it cannot say all of it: a lone surrogate,
    a cost finer than 1e-12 dollars, a member of another type than usual.
    """

    key: str | None
    time: str | None
    run_id: str | None
    model: str | None
    prompt_version: str | None
    attempt: int | None
    uncertain: int | None
    batch: bool | None
    status_code: int | None
    request_id: str | None
    error_code: str | None
    error_message: str | None
    finish_reason: str | None
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    cost_usd: Decimal | None
    body: str | None
    id: str | None
    line: bytes | None = None

    @classmethod
    def of(cls, record: CallRecord, line: bytes) -> Self:
        """The row of a record and the line that it was read from."""
        tokens = record.tokens
        row = cls(
            key=_text(record.key),
            time=_text(record.time),
            run_id=_text(record.run_id),
            model=_text(record.model),
            prompt_version=_text(record.prompt_version),
            attempt=_integer(record.attempt),
            uncertain=_integer(record.uncertain),
            batch=record.batch if isinstance(record.batch, bool) else None,
            status_code=_integer(record.status_code),
            request_id=_text(record.request_id),
            error_code=None if record.error is None else _text(record.failure),
            error_message=None if record.error is None else _text(record.error.get("message")),
            finish_reason=_text(record.finish_reason),
            input_tokens=None if tokens is None else _integer(tokens.input),
            cached_tokens=None if tokens is None else _integer(tokens.cached),
            output_tokens=None if tokens is None else _integer(tokens.output),
            reasoning_tokens=None if tokens is None else _integer(tokens.reasoning),
            cost_usd=_amount(record.cost),
            body=_text(_json(record.body)),
            id=_text(record.id),
        )
        return row if row.record() == record else row._replace(line=line)

    def record(self) -> CallRecord:
        """The record, as it was read from its line."""
        if self.line:
            return CallRecord.from_line(self.line)
        # Null only where the line said so too; else there is a line.
        row: Any = self
        error = None
        if self.error_code is not None:
            error = {"code": self.error_code, "message": row.error_message}
            if self.error_message is None:
                del error["message"]
        return CallRecord(
            key=row.key,
            status_code=self.status_code,
            body=None if self.body is None else json.loads(self.body),
            error=error,
            request_id=row.request_id,
            attempt=row.attempt,
            model=row.model,
            prompt_version=row.prompt_version,
            run_id=row.run_id,
            cost=self.cost_usd,
            uncertain=row.uncertain,
            batch=row.batch,
            id=row.id,
            time=row.time,
        )

    def is_of(self, key: str) -> bool:
        """Whether this is what came back for that call."""
        return (self.record().key if self.line else self.key) == key


@cache
def completion_schema() -> "pa.Schema":
    """Columns of a file of completions."""
    import pyarrow as pa

    kinds: dict[object, pa.DataType] = {
        str | None: pa.string(),
        int | None: pa.int64(),
        bool | None: pa.bool_(),
        Decimal | None: pa.decimal128(38, 12),
        bytes | None: pa.binary(),
    }
    return pa.schema({name: kinds[kind] for name, kind in CompletionRow.__annotations__.items()})


def to_table(rows: Iterable[CompletionRow]) -> "pa.Table":
    """Rows as they would lie in a file."""
    import pyarrow as pa

    return pa.table(list(map(list, zip(*rows, strict=True))), schema=completion_schema())


def _json(body: object) -> str | None:
    """JSON that SQL can read; None for nothing, and for what is nested too deeply."""
    if body is None:
        return None
    plain: dict[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}
    try:
        try:
            return json.dumps(body, allow_nan=False, **plain)
        except ValueError:
            # Python reads and writes NaN and infinities; to SQL they end the query.
            return json.dumps(json.loads(json.dumps(body), parse_constant=lambda _: None), **plain)
    except RecursionError:
        return None


def _text(value: object) -> str | None:
    """Text as UTF-8 can say it: a lone surrogate, which a model may emit, is a question mark."""
    if not isinstance(value, str):
        return None
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _integer(value: object) -> int | None:
    """A number that all readers of JSON agree on (RFC 8259, section 6), so that sums fit, too."""
    return value if type(value) is int and abs(value) < 2**53 else None


def _amount(cost: Decimal | None) -> Decimal | None:
    try:
        return (
            cost.quantize(_FINEST, context=_MONEY)
            if cost is not None and cost.is_finite()
            else None
        )
    except InvalidOperation:
        return None
