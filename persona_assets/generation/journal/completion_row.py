"""Row of a completions file: a call record as Parquet columns."""

import json
from collections.abc import Iterable
from decimal import Context, Decimal, InvalidOperation
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from persona_assets.generation.journal.call_record import CallRecord

if TYPE_CHECKING:
    import pyarrow as pa

ADDED = ("sent", "reused")
"""Columns that files of earlier versions lack."""

_RESOLUTION = Decimal("1e-12")
_DECIMAL_38 = Context(prec=38)


class CompletionRow(NamedTuple):
    """Call record as Parquet columns; null means unknown.

    Args:
        sent: JSON object of the parameters that were sent in place of the request's own.
        line: Line of the journal if the other columns cannot represent all of it: a lone surrogate,
            a cost finer than 1e-12 US dollars, a member of an unusual type. Null otherwise.
        reused: True if the record is a copy of another table's record, which has the cost. Null in
            files of earlier versions.

    Example:
        >>> record = CallRecord("key", 200, {"choices": []})
        >>> row = CompletionRow.from_record(record, record.to_line())
        >>> row.body, row.line, row.record() == record
        ('{"choices":[]}', None, True)
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
    sent: str | None = None
    line: bytes | None = None
    reused: bool | None = None

    @classmethod
    def from_record(cls, record: CallRecord, line: bytes) -> Self:
        """Return the row of a record.

        Args:
            record: Record to convert.
            line: Line of the journal from which the record was read.
        """
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
            sent=_text(_json(record.sent)),
            reused=record.reused if isinstance(record.reused, bool) else None,
        )
        return row if row.record() == record else row._replace(line=line)

    def record(self) -> CallRecord:
        """Return the record exactly as it was read from its line."""
        if self.line:
            return CallRecord.from_line(self.line)
        # A null here was null or absent in the line as well; in any other case `line` is set.
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
            sent=None if self.sent is None else json.loads(self.sent),
            id=row.id,
            time=row.time,
            reused=bool(self.reused),
        )

    def has_key(self, key: str) -> bool:
        """Return True if the row is a record of the call `key`."""
        return (self.record().key if self.line else self.key) == key


@cache
def completion_schema() -> "pa.Schema":
    """Return the Arrow schema of a completions file."""
    import pyarrow as pa

    types: dict[object, pa.DataType] = {
        str | None: pa.string(),
        int | None: pa.int64(),
        bool | None: pa.bool_(),
        Decimal | None: pa.decimal128(38, 12),
        bytes | None: pa.binary(),
    }
    return pa.schema(
        {name: types[annotation] for name, annotation in CompletionRow.__annotations__.items()}
    )


def is_completion_schema(schema: "pa.Schema") -> bool:
    """Return True for the schema of a completions file of this version or an earlier one."""
    full = completion_schema()
    missing = [name for name in ADDED if name not in schema.names]
    for name in missing:
        full = full.remove(full.get_field_index(name))
    return bool(schema == full)


def with_added_columns(table: "pa.Table", names: Iterable[str]) -> "pa.Table":
    """Return a table with the named columns, in their order, nulls for those that it lacks."""
    import pyarrow as pa

    columns = {
        name: table.column(name)
        if name in table.schema.names
        else pa.nulls(len(table), completion_schema().field(name).type)
        for name in names
    }
    return pa.table(columns)


def to_table(rows: Iterable[CompletionRow]) -> "pa.Table":
    """Return rows as an Arrow table with the schema of a completions file."""
    import pyarrow as pa

    return pa.table(list(map(list, zip(*rows, strict=True))), schema=completion_schema())


def _json(body: object) -> str | None:
    """Return JSON that SQL can read; None for a missing body and for too deep nesting."""
    if body is None:
        return None
    plain: dict[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}
    try:
        try:
            return json.dumps(body, allow_nan=False, **plain)
        except ValueError:
            # Python reads and writes NaN and infinities; in SQL they abort the query.
            return json.dumps(json.loads(json.dumps(body), parse_constant=lambda _: None), **plain)
    except RecursionError:
        return None


def _text(value: object) -> str | None:
    """Return text that UTF-8 can encode: a lone surrogate, which a model may emit, becomes "?"."""
    if not isinstance(value, str):
        return None
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _integer(value: object) -> int | None:
    """Return an integer that all JSON readers agree on (RFC 8259, section 6), else None.

    Sums of such integers fit into 64 bits, too.
    """
    return value if type(value) is int and abs(value) < 2**53 else None


def _amount(cost: Decimal | None) -> Decimal | None:
    """Return the cost rounded to 1e-12 US dollars; None if it does not fit the column."""
    try:
        return (
            cost.quantize(_RESOLUTION, context=_DECIMAL_38)
            if cost is not None and cost.is_finite()
            else None
        )
    except InvalidOperation:
        return None
