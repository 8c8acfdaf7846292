import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict, deque
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persona_assets.generation.calls.errors import BudgetReached, EndpointError
from persona_assets.generation.money.budget import Budget, SpendingCap
from persona_assets.generation.money.ledger import Ledger, LedgerError

CENT = Decimal("0.01")

# Sends calls of 0.001 at the most, eight at a time, until the cap is reached, and notes in `diary`
# what it may be billed for: a call once it may be sent, its cost before what is left is given back.
SPENDER = """
import os, random, sys, time
from collections import deque
from decimal import Decimal
from persona_assets.generation.money.budget import Budget, SpendingCap
from persona_assets.generation.money.ledger import Ledger

ledger, diary = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND)
caps = [SpendingCap("run", Decimal(1), "run"), SpendingCap("backfill", Decimal("1.5"), "all")]
budget, most, flying = Budget(Ledger(ledger), caps), Decimal("0.001"), deque()

def land():
    flying.popleft()
    time.sleep(0.0005)
    cost = Decimal(random.randint(0, 400)) / 1_000_000
    os.write(diary, f"{os.getpid()} land {cost:f}\\n".encode())
    budget.settle(most, cost)

print("ready", flush=True)
sys.stdin.readline()
while True:
    if budget.take(most):
        os.write(diary, f"{os.getpid()} send {most:f}\\n".encode())
        flying.append(most)
        if len(flying) == 8:
            land()
    elif not budget.refill(most):
        if not flying:
            break
        land()
budget.close()
"""


def budget(path: Path, *limits: str) -> Budget:
    names = ("run", "backfill")
    caps = [
        SpendingCap(name, Decimal(it), f"max_{name}")
        for name, it in zip(names, limits, strict=False)
    ]
    return Budget(Ledger(path), caps)


def state(path: Path, scope: str = "run") -> tuple[float, float]:
    spent, held = Ledger(path).state(scope)
    return float(spent), float(held)


def spend(purse: Budget, most: Decimal, cost: Decimal) -> bool:
    while not purse.take(most):
        if not purse.refill(most):
            return False
    purse.settle(most, cost)
    return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_nothing_is_taken_that_was_not_held(path: Path) -> None:
    purse = budget(path, "1")
    assert not purse.take(CENT)
    assert purse.refill(CENT)
    assert state(path) == (0, 0.01)
    assert purse.take(CENT)
    assert not purse.take(CENT)
    purse.settle(CENT, CENT / 4)
    assert purse.take(CENT / 2)
    assert not purse.take(CENT / 2)
    purse.settle(CENT / 2, CENT / 2)
    purse.close()
    assert state(path) == (0.0075, 0)


def test_close_gives_back_what_was_not_taken_and_counts_what_is_in_flight(path: Path) -> None:
    purse = budget(path, "1")
    for _ in range(3):
        assert purse.refill(CENT)
        assert purse.take(CENT)
    purse.settle(CENT, CENT / 2)
    for _ in range(2):
        purse.close()
        assert state(path) == (0.005, 0.02)
    assert not purse.take(CENT)
    with pytest.raises(ValueError, match="closed"):
        purse.refill(CENT)
    purse.settle(CENT, CENT / 2)
    assert state(path) == (0.01, 0.01)


def test_all_caps_hold_and_the_tightest_is_named(path: Path) -> None:
    other = budget(path, "0.5")
    assert spend(other, CENT, CENT)
    other.close()
    purse = budget(path, "0.03", "0.95")
    for _ in range(2):
        assert spend(purse, CENT, CENT)
    assert not purse.refill(CENT)
    reached = purse.reached()
    assert isinstance(reached, BudgetReached)
    assert isinstance(reached, EndpointError)
    assert str(reached) == (
        "The cap of $0.03 (max_run) is reached: $0.03 is spent, $0.00 is set aside for calls in "
        "flight or was by processes that died, and the next call may cost $0.01. Raise max_run, "
        "then run again; what was answered is kept."
    )
    purse.close()
    assert (state(path), state(path, "backfill")) == ((0.03, 0), (0.02, 0))


def test_the_tightest_of_two_limits_for_one_scope_holds(path: Path) -> None:
    caps = [SpendingCap("run", Decimal(1), "max_a"), SpendingCap("run", CENT, "max_b")]
    purse = Budget(Ledger(path), caps)
    assert spend(purse, CENT, CENT)
    assert not purse.refill(CENT)
    assert "(max_b)" in str(purse.reached())


def test_what_was_set_aside_shows_in_the_sentence(path: Path) -> None:
    purse = budget(path, "12.5")
    assert purse.refill(Decimal(12))
    assert purse.take(Decimal(12))
    assert not purse.refill(Decimal("0.75"))
    sentence = str(purse.reached())
    assert "cap of $12.50" in sentence
    assert "$0.00 is spent, $12.00 is set aside" in sentence
    assert "may cost $0.75" in sentence


def test_a_call_that_cost_more_than_its_worst_case_is_recorded(path: Path) -> None:
    purse = budget(path, "1")
    assert spend(purse, CENT, Decimal(3))
    assert not purse.refill(CENT)
    purse.close()
    assert state(path) == (3, 0)


def test_a_refund_can_be_spent_again(path: Path) -> None:
    first = budget(path, "1")
    assert spend(first, Decimal(1), Decimal(1))
    first.close()
    later = budget(path, "1")
    assert not later.refill(CENT)
    later.settle(Decimal(0), Decimal("-0.75"))
    assert later.take(Decimal("0.5"))
    later.settle(Decimal("0.5"), Decimal("0.5"))
    later.close()
    assert state(path) == (0.75, 0)


def test_what_costs_nothing_needs_no_room(path: Path) -> None:
    purse = budget(path, "0")
    assert spend(purse, Decimal(0), Decimal(0))
    assert not purse.refill(CENT)


def test_blocks_grow_with_use_and_stay_small_beside_what_is_left(path: Path) -> None:
    purse, held = budget(path, "1"), []
    for _ in range(200):
        while not purse.take(CENT / 100):
            assert purse.refill(CENT / 100)
            held.append(Ledger(path).state("run")[1])
        purse.settle(CENT / 100, CENT / 100)
    assert len(held) < 12
    assert max(held) > CENT / 10
    assert max(held) <= Decimal(1) / 16


def test_what_was_spent_is_seen_by_others_while_it_goes_on(path: Path) -> None:
    purse = budget(path, "1")
    assert purse.refill(CENT * 50)
    for _ in range(1000):
        assert spend(purse, CENT / 100, CENT / 100000)
        time.sleep(0.02)
        if state(path)[0] > 0:
            break
    else:
        pytest.fail("nothing was written while the budget was in use")
    purse.close()


def test_misuse_is_refused(path: Path) -> None:
    purse = budget(path, "1")
    with pytest.raises(ValueError, match="0 or more"):
        purse.take(-CENT)
    with pytest.raises(ValueError, match="more is settled than was taken"):
        purse.settle(CENT, CENT)
    with pytest.raises(ValueError, match="at least one cap"):
        Budget(Ledger(path), [])
    for limit in ("-1", "NaN", "Infinity", "9000001"):
        with pytest.raises(ValueError, match="max_cost must be 0 to 9,000,000 US dollars"):
            SpendingCap("run", Decimal(limit), "max_cost")


def test_what_could_not_be_written_is_written_later(path: Path) -> None:
    purse = budget(path, "1")
    assert spend(purse, CENT, CENT / 2)
    aside = path.rename(path.with_suffix(".aside"))
    for _ in range(2):
        with pytest.raises(LedgerError):
            purse.close()
        path.unlink()
    aside.rename(path)
    assert state(path) == (0, 0.01)
    purse.close()
    assert state(path) == (0.005, 0)


def test_threads_share_one_budget(path: Path) -> None:
    purse, counts = budget(path, "0.05"), []

    def run() -> None:
        count = 0
        while spend(purse, CENT / 100, CENT / 100):
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    purse.close()
    assert sum(counts) == 500
    assert state(path) == (0.05, 0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(["send", "send", "send", "land", "land", "close", "die"]),
            st.integers(1, 400),
            st.integers(0, 100),
        ),
        max_size=60,
    )
)
def test_whatever_happens_what_may_have_been_billed_is_within_the_caps(
    steps: list[tuple[int, str, int, int]],
) -> None:
    """Three processes of two runs under one cap; a new one follows each that ends or dies."""
    limits = {"run 0": Decimal(1), "run 1": Decimal("0.8"), "backfill": Decimal("1.5")}
    runs = ("run 0", "run 0", "run 1")
    billed: dict[str, Decimal] = defaultdict(Decimal)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder, "ledger.db"))

        def begin(process: int) -> Budget:
            scopes = (runs[process], "backfill")
            return Budget(ledger, [SpendingCap(scope, limits[scope], scope) for scope in scopes])

        purses = [begin(process) for process in range(3)]
        flying: list[deque[Decimal]] = [deque() for _ in purses]
        for process, step, thousandths, percent in steps:
            purse, scopes = purses[process], (runs[process], "backfill")
            if step == "send":
                most = Decimal(thousandths) / 1000
                if purse.take(most) or (purse.refill(most) and purse.take(most)):
                    flying[process].append(most)
                    for scope in scopes:
                        billed[scope] += most
            elif step == "land" and flying[process]:
                most = flying[process].popleft()
                cost = most * percent / 100
                for scope in scopes:
                    billed[scope] -= most - cost
                purse.settle(most, cost)
            elif step in ("close", "die"):
                if step == "close":
                    purse.close()
                # Its calls in flight may have been billed.
                flying[process].clear()
                purses[process] = begin(process)
            for scope, limit in limits.items():
                counted = sum(ledger.state(scope))
                assert billed[scope] <= counted <= limit


def test_processes_and_a_kill(path: Path, tmp_path: Path) -> None:
    """Four processes under one cap, one of which is killed at work."""
    diary = tmp_path / "diary"
    diary.touch()
    children = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", SPENDER, str(path), str(diary)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(4)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        child.stdin.flush()
    victim = children[0]
    while f"{victim.pid} land" not in diary.read_text():
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    for child in children:
        child.communicate()
    assert [child.returncode for child in children] == [-signal.SIGKILL, 0, 0, 0]

    billed: dict[int, Decimal] = defaultdict(Decimal)
    calls: dict[int, int] = defaultdict(int)
    for line in diary.read_text().splitlines():
        pid, event, amount = line.split()
        if event == "send":
            calls[int(pid)] += 1
            billed[int(pid)] += Decimal(amount)
        else:
            billed[int(pid)] -= Decimal("0.001") - Decimal(amount)
        assert sum(billed.values()) <= 1
    # Nobody was starved, and all was used but what the dead process held.
    assert set(calls) == {child.pid for child in children}
    ledger = Ledger(path)
    for scope in ("run", "backfill"):
        assert Decimal("0.999") < sum(ledger.state(scope)) <= 1
        for holder, spent, held in ledger.holders(scope):
            if holder.pid == victim.pid:
                assert spent + held >= billed[holder.pid]
            else:
                assert spent == billed[holder.pid]
                assert not held
