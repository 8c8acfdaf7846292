"""A run shows rows while it goes on, and no text controls the terminal."""

import re
from collections.abc import Callable

from rich.table import Table

from persona_assets.terminal.figures import OUT
from persona_assets_tests.sample_project import SampleProject

HOSTILE = "A nurse\x1b[2J\x1b]0;title\x07 \u202ewho turns lines\u202c"


def test_run_shows_the_first_answer_before_its_table_and_a_row_of_each_table(
    fresh: SampleProject, command: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = command(fresh, "run", "--select", "+key:text_personas")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    [answer] = [n for n, line in enumerate(lines) if line.startswith("text_personas, first answer")]
    tables = [
        n for n, line in enumerate(lines) if re.match(r"text_personas \(.+\): \d+ rows?", line)
    ]
    assert answer < tables[0]
    assert len(tables) == 2
    first = fresh.rows("text_personas", "forum/birds.jsonl")["persona"][0]
    assert any(
        line.startswith("text_personas (forum/birds.jsonl): ") and first in line for line in lines
    )


def test_texts_do_not_control_the_terminal() -> None:
    table = Table("persona")
    table.add_row(HOSTILE)
    with OUT.capture() as captured:
        OUT.print(table)
        OUT.print(HOSTILE, markup=False, soft_wrap=True)
    shown = captured.get()
    assert shown.count("who turns lines") == 2
    assert not set(shown) & set("\x1b\x07\u202e\u202c")
