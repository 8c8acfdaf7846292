"""Sheet of samples for a rater, as comma-separated values that any spreadsheet opens and saves.

Belongs here: text of a sheet, and its marks. Does not belong here: the draw of the samples and the
figures on the marks, which are in `validity`.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ID, MARK, NOTE = "id", "valid", "note"
"""Columns of a sheet besides those of the samples."""

MOST_CHARACTERS = 32_000
"""Characters of a cell: spreadsheets hold 32,767, and escaping adds some."""

DELIMITERS = ",;\t"
"""Delimiters with which spreadsheets save: the first that finds the columns in the header."""

MARKS = {
    **dict.fromkeys(("yes", "y", "true", "1"), True),
    **dict.fromkeys(("no", "n", "false", "0"), False),
}
"""Verdict by mark, in any case."""

_CUT = "[... cut: persona-assets trace {id} prints the whole text]"
_SHOWN_ROWS = 10

# A cell that begins so is a formula. A spreadsheet that splits at another sign than the comma, as
# many do in Europe, also starts cells after a semicolon, a tab or a newline within a text.
_FORMULA = re.compile(r'(^|[;\t\r\n])("*)([=+\-@＝＋－＠])')
# Text that a spreadsheet turns into a number, a date or a truth value, and saves as such.
_TYPED = re.compile(
    r"[\d.,:/\s+\-%$€£¥()]*\d[\d.,:/\s+\-%$€£¥()]*(e\d+)?|true|false"
    r"|\d{0,4}[\s/-]*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[\s/,-]*\d{0,4}",
    re.IGNORECASE,
)


class RatingSheetError(ValueError):
    """A sheet cannot be read; the message names the file, the rows and the correction."""


@dataclass(frozen=True)
class Rating:
    """Mark of a rater.

    Attributes:
        valid: Verdict; None without a mark.
        note: Note of the rater; "" for none.
    """

    valid: bool | None
    note: str = ""


def cell(text: str, sample_id: str = "") -> str:
    """Return a text as a cell that no spreadsheet evaluates, converts or cuts.

    An apostrophe comes before each sign that could start a formula, and before a text that is a
    number or a date (OWASP, "CSV Injection").

    Args:
        text: Any text.
        sample_id: Id that the mark of a cut text names.

    Example:
        >>> cell("=1+1"), cell("3/4"), cell("Add 3/4 and -1."), cell("Take a;=b")
        ("'=1+1", "'3/4", 'Add 3/4 and -1.', "Take a;'=b")
    """
    if len(text) > MOST_CHARACTERS:
        mark = _CUT.format(id=sample_id)
        text = text[: MOST_CHARACTERS - len(mark)] + mark
    escaped = _FORMULA.sub(r"\1\2'\3", text.replace("\x00", ""))
    is_typed = len(text) <= 40 and _TYPED.fullmatch(text.strip())
    return f"'{escaped}" if is_typed and not escaped.startswith("'") else escaped


def sheet_bytes(rows: Iterable[Mapping[str, str]], columns: Sequence[str]) -> bytes:
    """Return a sheet with empty marks: UTF-8 with a byte order mark, every cell in quotes.

    Without the mark Excel reads UTF-8 as the code page of the machine.

    Args:
        rows: Samples with `id` and the given columns.
        columns: Columns that a rater reads.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow([ID, *columns, MARK, NOTE])
    for row in rows:
        texts = (cell(row[name], row[ID]) for name in columns)
        writer.writerow([cell(row[ID]), *texts, "", ""])
    return text.getvalue().encode("utf-8-sig", "replace")


def read_sheet(
    name: str, data: bytes, samples: Mapping[str, Mapping[str, str]], columns: Sequence[str]
) -> dict[str, Rating]:
    """Return the rating of each sample by its id, in the order of the samples.

    Rows are numbered as a spreadsheet does, the header being row 1. A sample whose row was removed,
    or has no mark, has no verdict.

    Args:
        name: Name of the file, for messages.
        data: Content, as written or as a spreadsheet saved it.
        samples: Texts of the drawn samples by id.
        columns: Columns whose text must be that of the sample.

    Raises:
        RatingSheetError: The file is no such sheet, or rows have an unknown or repeated id, a
            changed text or an unknown mark.
    """
    header, rows = _table(name, data)
    if missing := [column for column in columns if column not in header]:
        raise RatingSheetError(f"{name} lacks the column {missing[0]}: restore it, unchanged")
    faults: dict[str, list[int]] = {}
    ratings: dict[str, Rating] = {}
    for number, values in rows:
        row = dict(zip(header, values, strict=False))
        sample_id = row[ID].strip().lstrip("'")
        mark = row.get(MARK, "").strip().casefold()
        sample = samples.get(sample_id)
        if sample is None:
            fault = "an id that is not in the draw"
        elif sample_id in ratings:
            fault = "an id that came before"
        elif any(not _is_same(row.get(it, ""), sample[it], sample_id) for it in columns):
            fault = "a text that is not the drawn one"
        elif mark and mark not in MARKS:
            fault = f"a mark {mark[:20]!r} that is neither yes nor no"
        else:
            note = row.get(NOTE, "").strip()
            ratings[sample_id] = Rating(MARKS.get(mark), note)
            continue
        faults.setdefault(fault, []).append(number)
    if faults:
        found = "; ".join(f"{row_list(numbers)}: {fault}" for fault, numbers in faults.items())
        raise RatingSheetError(
            f"{name} cannot be counted, {found}: correct these rows and read the file again"
        )
    return {sample_id: ratings.get(sample_id, Rating(None)) for sample_id in samples}


def sheet_ids(name: str, data: bytes) -> dict[str, int]:
    """Return the row number of each id in a sheet. Raises as `read_sheet`."""
    header, rows = _table(name, data)
    place = header.index(ID)
    return {values[place].strip().lstrip("'"): number for number, values in rows}


def row_list(numbers: Sequence[int]) -> str:
    """Return row numbers in words.

    Example:
        >>> row_list([3]), row_list(range(2, 15))
        ('row 3', 'rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 3 more')
    """
    shown = ", ".join(map(str, numbers[:_SHOWN_ROWS]))
    more = len(numbers) - _SHOWN_ROWS
    return f"row{'s' * (len(numbers) > 1)} {shown}{f' and {more} more' if more > 0 else ''}"


def _table(name: str, data: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and each row that is not blank with its number."""
    text = _decoded(name, data)
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    first = text.partition("\n")[0]
    for delimiter in DELIMITERS:
        header = [
            each.strip().casefold() for each in next(csv.reader([first], delimiter=delimiter), [])
        ]
        if {ID, MARK} <= set(header):
            break
    else:
        raise RatingSheetError(
            f"{name} has no columns {ID} and {MARK} in its first row: save the sheet as CSV, with "
            "its header"
        )
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise RatingSheetError(f"{name} is no CSV ({error}): save the sheet as CSV") from None
    numbered = [(number, row) for number, row in enumerate(rows, 1) if any(row)][1:]
    place = header.index(ID)
    if short := [number for number, row in numbered if len(row) <= place]:
        raise RatingSheetError(f"{name} has no id in {row_list(short)}: restore the column {ID}")
    return header, numbered


def _decoded(name: str, data: bytes) -> str:
    is_utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise RatingSheetError(
            f'{name} is not in UTF-8: save it anew as "CSV UTF-8" (in LibreOffice: character set '
            "UTF-8)"
        ) from None


def _is_same(found: str, text: str, sample_id: str) -> bool:
    """Compare a cell with a text; a spreadsheet may take off the first apostrophe."""
    written = cell(text, sample_id)
    return _lines(found) in {_lines(written), _lines(written.removeprefix("'")), _lines(text)}


def _lines(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
