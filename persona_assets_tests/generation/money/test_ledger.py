"""A ledger never grants more than its limits, over threads, processes and databases."""

import contextlib
import gc
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

import pytest

from persona_assets.generation.calls.errors import EndpointError
from persona_assets.generation.money.ledger import Holder, Ledger, LedgerError, to_dollars, to_pico
from persona_assets_tests.generation.child_programs import start_together
from persona_assets_tests.postgres_server import CANARY, PostgresServer, running_postgres

CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a new ledger, in each of the databases."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new folder' / 'ledger.db'}"
    return url_of_new_schema(request.getfixturevalue("postgres"), f"of_{uuid4().hex}")


def url_of_new_schema(server: PostgresServer, name: str) -> str:
    import psycopg
    from psycopg.sql import SQL, Identifier

    with psycopg.connect(server.url()) as connection:
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
    return f"{server.url()}&options=-csearch_path%3D{name}"


def totals(ledger: Ledger, scope: str = "run") -> tuple[float, float]:
    spent, held = ledger.state(scope)
    return float(spent), float(held)


def claim(
    ledger: Ledger,
    holder: Holder,
    limits: dict[str, str],
    *,
    spent: str = "0",
    held: str = "0",
    least: str = "0",
    wanted: str = "0",
) -> float:
    granted = ledger.claim(
        holder,
        {scope: Decimal(limit) for scope, limit in limits.items()},
        spent=Decimal(spent),
        held=Decimal(held),
        least=Decimal(least),
        wanted=Decimal(wanted),
    )
    return float(granted)


def test_ledger_grants_no_more_than_the_limit(url: str) -> None:
    ledger, first, second = Ledger(url), Holder(), Holder()
    assert totals(ledger) == (0, 0)
    assert claim(ledger, first, {"run": "1"}, least="0.7") == 0.7
    assert claim(ledger, second, {"run": "1"}, least="0.4") == 0
    assert claim(ledger, second, {"run": "1"}, least="0.3") == 0.3
    assert claim(ledger, second, {"run": "1"}, held="0.3", least="0.000000000001") == 0
    assert totals(ledger) == (0, 1)
    assert claim(ledger, first, {"run": "1"}, spent="0.2", held="0.1", least="0.4") == 0.4
    assert totals(Ledger(url)) == (0.2, 0.8)


def test_ledger_grants_in_all_scopes_or_in_none(url: str) -> None:
    ledger, holder = Ledger(url), Holder()
    limits = {"run": "5", "backfill": "1"}
    assert claim(ledger, Holder(), {"backfill": "1"}, least="0.5") == 0.5
    assert claim(ledger, holder, limits, least="0.6") == 0
    assert (totals(ledger), totals(ledger, "backfill")) == ((0, 0), (0, 0.5))
    assert claim(ledger, holder, limits, least="0.4") == 0.4
    assert claim(ledger, holder, limits, spent="0.3", held="0.1") == 0
    assert totals(ledger) == (0.3, 0.1)
    assert totals(ledger, "backfill") == (0.3, 0.6)


def test_repeated_report_changes_nothing(url: str) -> None:
    ledger, holder = Ledger(url), Holder()
    claim(ledger, Holder(), {"run": "9"}, spent="1", held="1")
    for _ in range(3):
        claim(ledger, holder, {"run": "9"}, spent="0.5", held="0.25")
        assert totals(ledger) == (1.5, 1.25)
    claim(ledger, holder, {"run": "9"}, spent="-0.5")
    assert totals(ledger) == (0.5, 1)


def test_ledger_grants_beyond_the_least_amount_only_a_small_share(url: str) -> None:
    ledger, holder = Ledger(url), Holder()
    assert claim(ledger, holder, {"run": "16"}, least="0.1", wanted="0.5") == 0.5
    assert claim(ledger, holder, {"run": "16"}, least="0.1", wanted="9") == 1
    assert claim(ledger, holder, {"run": "16"}, least="3", wanted="9") == 3


def test_ledger_records_overspending_and_grants_nothing_more(url: str) -> None:
    ledger, holder = Ledger(url), Holder()
    assert claim(ledger, holder, {"run": "1"}, spent="1.5", least="0.1") == 0
    assert totals(ledger) == (1.5, 0)
    assert claim(ledger, Holder(), {"run": "2"}, least="0.1") == 0.1


def test_ledger_lists_holders_with_their_money(url: str) -> None:
    ledger, holder = Ledger(url), Holder()
    claim(ledger, holder, {"run": "1"}, spent="0.25", held="0.5")
    assert ledger.holders("run") == [(holder, Decimal("0.25"), Decimal("0.5"))]
    assert holder.pid == os.getpid()
    assert ledger.holders("another") == []


def test_pico_dollars_represent_the_price_of_a_token_exactly() -> None:
    token = Decimal("0.005") / 1_000_000 / 2
    assert to_dollars(to_pico(token)) == token
    assert to_pico(Decimal("0.0000000000001")) == 1
    assert to_dollars(to_pico(Decimal(9_000_000))) == 9_000_000


def test_simultaneous_processes_never_exceed_the_limit(postgres: PostgresServer) -> None:
    """The first process creates the tables; test_budget.py has the same story for SQLite."""
    url = url_of_new_schema(postgres, "at_once")
    children = start_together("claim_cents", url, count=4)
    amounts = []
    for child in children:
        amounts.append(Decimal(child.communicate()[0]))
        assert child.returncode == 0
    assert sum(amounts) == 1
    assert totals(Ledger(url)) == (1, 0)


def test_threads_share_a_ledger(url: str) -> None:
    ledger, granted = Ledger(url), []

    def spend() -> None:
        holder, held = Holder(), Decimal(0)
        while amount := ledger.claim(
            holder, {"run": Decimal("0.2")}, spent=Decimal(0), held=held, least=CENT
        ):
            held += amount
        granted.append(held)

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == Decimal("0.2")


def test_ledger_waits_for_a_locked_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger, holder = Ledger(path), Holder()
    claim(ledger, holder, {"run": "1"}, spent="0.1")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match=r"ledger\.db .*another process has locked it"):
            ledger.claim(holder, {"run": Decimal(1)}, spent=Decimal(1), held=Decimal(0), patience=0)
        waiting = threading.Thread(target=claim, args=(ledger, holder, {"run": "1"}))
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        other.execute("ROLLBACK")
    waiting.join()
    assert totals(ledger) == (0, 0)


def test_ledger_rejects_a_path_that_cannot_be_a_database(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, and longer than a page's header " * 9)
    for path in (tmp_path / "text", tmp_path / "text" / "below", tmp_path):
        with pytest.raises(LedgerError, match=str(path)) as caught:
            Ledger(path).state("run")
        assert isinstance(caught.value, EndpointError)


def test_ledger_removed_during_a_run_is_not_created_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    claim(ledger, Holder(), {"run": "1"}, spent="1")
    path.unlink()
    with pytest.raises(LedgerError, match="no such table"):
        claim(ledger, Holder(), {"run": "1"}, least="1")


def test_ledger_resolves_relative_paths_at_construction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ledgers = [Ledger("a/ledger.db"), Ledger("sqlite:///a/ledger.db"), Ledger(Path("a/ledger.db"))]
    monkeypatch.chdir("/")
    for ledger in ledgers:
        claim(ledger, Holder(), {"run": "1"}, spent="0.1")
    assert totals(Ledger(f"sqlite:///{tmp_path}/a/ledger.db")) == (0.3, 0)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{CANARY}@host/db",
        f"postgresql:user:{CANARY}@host/db",
        f"sqlite://{CANARY}",
        f"postgresql://user:{CANARY}@127.0.0.1:1/db",
        f"postgresql://user:4/{CANARY}@127.0.0.1:1/db",
        f"postgresql://user:{CANARY[:4]}@{CANARY[4:]}:x@127.0.0.1/db",
        f"postgresql://user:x%zz{CANARY}@127.0.0.1/db",
    ],
)
def test_ledger_error_never_contains_a_password(url: str) -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    with pytest.raises((ValueError, LedgerError)) as caught:
        Ledger(url).claim(
            Holder(), {"run": Decimal(1)}, spent=Decimal(0), held=Decimal(0), patience=0
        )
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY[4:] not in f"{error!r}"
        error = error.__context__


def test_refusal_of_a_server_is_reported_without_the_password(postgres: PostgresServer) -> None:
    ledger = Ledger(postgres.url(password=f"{CANARY}-wrong"))
    with pytest.raises(LedgerError, match="password authentication failed") as caught:
        ledger.claim(Holder(), {"run": Decimal(1)}, spent=CENT, held=CENT, patience=0)
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None


def test_ledger_waits_for_a_server_that_restarts(postgres: PostgresServer) -> None:
    ledger, holder = Ledger(postgres.url()), Holder()
    claim(ledger, holder, {"restart": "1"}, spent="0.1")
    postgres.stop()
    waiting = threading.Thread(
        target=claim, args=(ledger, holder, {"restart": "1"}), kwargs={"spent": "0.2"}
    )
    try:
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
    finally:
        postgres.start()
    waiting.join()
    assert totals(ledger, "restart") == (0.2, 0)


def test_connection_is_kept_and_closed_with_the_ledger(postgres: PostgresServer) -> None:
    def sessions() -> list[tuple[int]]:
        with psycopg.connect(postgres.url()) as connection:
            return connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE usename = 'tester' "
                "AND pid <> pg_backend_pid() ORDER BY pid"
            ).fetchall()

    psycopg = pytest.importorskip("psycopg")
    gc.collect()
    before = sessions()
    ledger = Ledger(url_of_new_schema(postgres, "kept"))
    claim(ledger, Holder(), {"run": "1"}, spent="0.1")
    [session] = set(sessions()) - set(before)
    for _ in range(3):
        assert totals(ledger) == (0.1, 0)
        assert set(sessions()) - set(before) == {session}
    del ledger
    gc.collect()
    # The server ends a session a moment after its client has left.
    while session in sessions():
        time.sleep(0.01)
