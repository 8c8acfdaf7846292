"""A sheet survives spreadsheets, evaluates nothing, and tells the rows that cannot be counted."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persona_assets.steps.rating_sheet import (
    MOST_CHARACTERS,
    Rating,
    RatingSheetError,
    cell,
    read_sheet,
    sheet_bytes,
)

TEXTS = {
    "a1": 'A baker, "Rosa", sells 3/4 of 96 loaves.\nHow many are left?',
    "b2": "一位渔夫每天捕 12 条鱼，三天捕多少条？",
    "c3": '=HYPERLINK("http://127.0.0.1") is what a clerk typed; what is 2 + 2?',
    "d4": "3/4",
}
COLUMNS = ["problem"]
SAMPLES = {row_id: {"problem": text} for row_id, text in TEXTS.items()}
FORMULA = tuple("=+-@＝＋－＠")
NASTY = st.text(
    st.sampled_from([*"=+-@＝;,\t\r\n\"'ab 1é渔"]) | st.characters(codec="utf-8"), max_size=25
)


def sheet(texts: dict[str, str] = TEXTS) -> bytes:
    return sheet_bytes(({"id": row_id, "problem": text} for row_id, text in texts.items()), COLUMNS)


def cells(data: bytes, delimiter: str = ",") -> list[list[str]]:
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return list(csv.reader(text, delimiter=delimiter))


def saved(rows: list[list[str]], style: str = "as written") -> bytes:
    """Return rows as a spreadsheet saves them."""
    text = io.StringIO(newline="")
    delimiter = {"semicolons": ";", "unicode text": "\t"}.get(style, ",")
    newline = "\n" if style == "unix" else "\r\n"
    # A spreadsheet quotes every line break, and the module only those of its line terminator.
    quoting = csv.QUOTE_ALL if style == "unix" else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=delimiter, lineterminator=newline, quoting=quoting)
    writer.writerows(rows)
    encoding = {"unicode text": "utf-16", "unix": "utf-8"}.get(style, "utf-8-sig")
    return text.getvalue().encode(encoding)


def marked(marks: list[str], data: bytes | None = None) -> list[list[str]]:
    """Return the rows of a sheet with marks."""
    rows = cells(sheet() if data is None else data)
    for row, mark in zip(rows[1:], marks, strict=True):
        row[2], row[3] = mark, f"note on {row[0]}"
    return rows


def read(data: bytes) -> dict[str, Rating]:
    return read_sheet("anna.csv", data, SAMPLES, COLUMNS)


STYLES = ["as written", "semicolons", "unicode text", "unix"]


@pytest.mark.parametrize("style", STYLES)
def test_marks_come_back_from_every_spreadsheet(style: str) -> None:
    found = read(saved(marked(["yes", "No", "", "TRUE"]), style))
    assert [rating.valid for rating in found.values()] == [True, False, None, True]
    assert found["b2"].note == "note on b2"
    assert list(found) == list(TEXTS)


def test_sheet_begins_with_a_byte_order_mark_and_its_header() -> None:
    assert sheet().startswith(b'\xef\xbb\xbf"id","problem","valid","note"\r\n')


@given(st.lists(NASTY, min_size=1, max_size=4), st.sampled_from(STYLES))
def test_any_text_is_recognised_after_a_round_trip(texts: list[str], style: str) -> None:
    by_id = {f"id{n}": text for n, text in enumerate(texts)}
    samples = {row_id: {"problem": text} for row_id, text in by_id.items()}
    rows = cells(sheet(by_id))
    for row in rows[1:]:
        row[2] = "no"
    found = read_sheet("a.csv", saved(rows, style), samples, COLUMNS)
    assert {rating.valid for rating in found.values()} == {False}
    # Google Sheets takes a first apostrophe for its own and does not save it.
    for row in rows[1:]:
        row[1] = row[1].removeprefix("'")
    assert read_sheet("a.csv", saved(rows, style), samples, COLUMNS) == found


@given(NASTY, st.sampled_from(",;\t"))
def test_no_cell_is_a_formula_whatever_the_delimiter_of_the_reader(
    text: str, delimiter: str
) -> None:
    for row in cells(sheet({"a1": text}), delimiter):
        assert not any(value.startswith(FORMULA) for value in row)


@pytest.mark.parametrize(
    "text", ["3/4", "1e5", "007", "12,5", "(1,2)", "Mar 5", "TRUE", "-3", "50 %"]
)
def test_number_or_date_stays_text(text: str) -> None:
    assert cell(text).startswith("'")


@pytest.mark.parametrize(
    "text", ["Add 3/4 and 1/2.", "x = -3", "March into the hall: how far?", ""]
)
def test_prose_has_no_apostrophe(text: str) -> None:
    assert cell(text) == text


def test_cell_is_shorter_than_a_spreadsheet_allows_and_says_so() -> None:
    written = cell("7 " * 20_000, "a1")
    assert len(written) == MOST_CHARACTERS
    assert written.endswith("persona-assets trace a1 prints the whole text]")
    samples = {"a1": {"problem": "7 " * 20_000}}
    rows = cells(sheet({"a1": samples["a1"]["problem"]}))
    assert read_sheet("a.csv", saved(rows), samples, COLUMNS) == {"a1": Rating(None)}


def spoiled(fault: str) -> bytes:
    """Return a marked sheet with a fault in its row 3."""
    rows = marked(["yes"] * len(TEXTS))
    match fault:
        case "unknown":
            rows[2][0] = "zz"
        case "repeated":
            rows[2] = rows[1]
        case "changed":
            rows[2][1] = rows[2][1].replace("12", "13")
        case "mark":
            rows[2][2] = "maybe"
        case "short":
            rows[2] = rows[2][:1]
        case "column":
            rows = [[row[0], *row[2:]] for row in rows]
        case "header":
            rows = rows[1:]
        case "code page":
            return saved(marked(["yes"] * 4)).decode("utf-8-sig").encode("gb18030")
        case _:
            return b""
    return saved(rows)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unknown", "row 3: an id that is not in the draw"),
        ("repeated", "row 3: an id that came before"),
        ("changed", "row 3: a text that is not the drawn one"),
        ("mark", "row 3: a mark 'maybe' that is neither yes nor no"),
        ("short", "row 3: a text that is not the drawn one"),
        ("column", "lacks the column problem"),
        ("header", "no columns id and valid in its first row"),
        ("code page", 'save it anew as "CSV UTF-8"'),
        ("empty", "no columns id and valid in its first row"),
    ],
)
def test_sheet_that_cannot_be_counted_is_refused_with_its_rows(fault: str, words: str) -> None:
    with pytest.raises(RatingSheetError) as refused:
        read(spoiled(fault))
    assert words in str(refused.value)
    assert "anna.csv" in str(refused.value)


def test_removed_and_blank_rows_are_samples_without_a_mark() -> None:
    rows = marked(["yes", "yes", "no", "no"])
    data = saved([rows[0], [], rows[1], ["", "", "", ""], rows[3]])
    assert [rating.valid for rating in read(data).values()] == [True, None, False, None]


def test_all_faulty_rows_are_told_at_once() -> None:
    rows = marked(["yes", "?", "?", "yes"])
    rows[4][0] = "zz"
    with pytest.raises(RatingSheetError, match=r"rows 3, 4: a mark '\?'.*; row 5: an id"):
        read(saved(rows))
