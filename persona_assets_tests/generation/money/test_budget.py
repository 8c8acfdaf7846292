"""A budget keeps the money that may have been billed within all caps, at every instant."""

import signal
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
from persona_assets_tests.generation.child_programs import start_together

CENT = Decimal("0.01")


def open_budget(path: Path, *limits: str) -> Budget:
    """Return a budget with caps on the scopes "run" and, with two limits, "backfill"."""
    names = ("run", "backfill")
    caps = [
        SpendingCap(name, Decimal(limit), f"max_{name}")
        for name, limit in zip(names, limits, strict=False)
    ]
    return Budget(Ledger(path), caps)


def ledger_totals(path: Path, scope: str = "run") -> tuple[float, float]:
    spent, held = Ledger(path).state(scope)
    return float(spent), float(held)


def spend(budget: Budget, most: Decimal, cost: Decimal) -> bool:
    while not budget.take(most):
        if not budget.refill(most):
            return False
    budget.settle(most, cost)
    return True


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_budget_takes_only_money_that_the_ledger_holds(path: Path) -> None:
    budget = open_budget(path, "1")
    assert not budget.take(CENT)
    assert budget.refill(CENT)
    assert ledger_totals(path) == (0, 0.01)
    assert budget.take(CENT)
    assert not budget.take(CENT)
    budget.settle(CENT, CENT / 4)
    assert budget.take(CENT / 2)
    assert not budget.take(CENT / 2)
    budget.settle(CENT / 2, CENT / 2)
    budget.close()
    assert ledger_totals(path) == (0.0075, 0)


def test_close_releases_free_money_and_counts_calls_in_flight(path: Path) -> None:
    budget = open_budget(path, "1")
    for _ in range(3):
        assert budget.refill(CENT)
        assert budget.take(CENT)
    budget.settle(CENT, CENT / 2)
    for _ in range(2):
        budget.close()
        assert ledger_totals(path) == (0.005, 0.02)
    assert not budget.take(CENT)
    with pytest.raises(ValueError, match="closed"):
        budget.refill(CENT)
    budget.settle(CENT, CENT / 2)
    assert ledger_totals(path) == (0.01, 0.01)


def test_budget_keeps_all_caps_and_names_the_tightest(path: Path) -> None:
    other = open_budget(path, "0.5")
    assert spend(other, CENT, CENT)
    other.close()
    budget = open_budget(path, "0.03", "0.95")
    for _ in range(2):
        assert spend(budget, CENT, CENT)
    assert not budget.refill(CENT)
    reached = budget.reached()
    assert isinstance(reached, BudgetReached)
    assert isinstance(reached, EndpointError)
    assert str(reached) == (
        "The cap of $0.03 (max_run) is reached: $0.03 is spent, $0.00 is set aside for calls in "
        "flight or was by processes that died, and the next call may cost $0.01. Raise max_run, "
        "then run again; what was answered is kept."
    )
    budget.close()
    assert (ledger_totals(path), ledger_totals(path, "backfill")) == ((0.03, 0), (0.02, 0))


def test_budget_keeps_the_tighter_of_two_caps_of_a_scope(path: Path) -> None:
    caps = [SpendingCap("run", Decimal(1), "max_a"), SpendingCap("run", CENT, "max_b")]
    budget = Budget(Ledger(path), caps)
    assert spend(budget, CENT, CENT)
    assert not budget.refill(CENT)
    assert "(max_b)" in str(budget.reached())


def test_error_message_states_the_money_held(path: Path) -> None:
    budget = open_budget(path, "12.5")
    assert budget.refill(Decimal(12))
    assert budget.take(Decimal(12))
    assert not budget.refill(Decimal("0.75"))
    sentence = str(budget.reached())
    assert "cap of $12.50" in sentence
    assert "$0.00 is spent, $12.00 is set aside" in sentence
    assert "may cost $0.75" in sentence


def test_budget_records_a_cost_above_the_worst_case(path: Path) -> None:
    budget = open_budget(path, "1")
    assert spend(budget, CENT, Decimal(3))
    assert not budget.refill(CENT)
    budget.close()
    assert ledger_totals(path) == (3, 0)


def test_refund_can_be_spent_again(path: Path) -> None:
    first = open_budget(path, "1")
    assert spend(first, Decimal(1), Decimal(1))
    first.close()
    later = open_budget(path, "1")
    assert not later.refill(CENT)
    later.settle(Decimal(0), Decimal("-0.75"))
    assert later.take(Decimal("0.5"))
    later.settle(Decimal("0.5"), Decimal("0.5"))
    later.close()
    assert ledger_totals(path) == (0.75, 0)


def test_free_call_needs_no_money_under_the_cap(path: Path) -> None:
    budget = open_budget(path, "0")
    assert spend(budget, Decimal(0), Decimal(0))
    assert not budget.refill(CENT)


def test_blocks_grow_with_use_up_to_a_small_share_of_the_free_money(path: Path) -> None:
    budget, held = open_budget(path, "1"), []
    for _ in range(200):
        while not budget.take(CENT / 100):
            assert budget.refill(CENT / 100)
            held.append(Ledger(path).state("run")[1])
        budget.settle(CENT / 100, CENT / 100)
    assert len(held) < 12
    assert max(held) > CENT / 10
    assert max(held) <= Decimal(1) / 16


def test_budget_in_use_reports_its_spending(path: Path) -> None:
    budget = open_budget(path, "1")
    assert budget.refill(CENT * 50)
    for _ in range(1000):
        assert spend(budget, CENT / 100, CENT / 100000)
        time.sleep(0.02)
        if ledger_totals(path)[0] > 0:
            break
    else:
        pytest.fail("nothing was written while the budget was in use")
    budget.close()


def test_budget_refuses_a_negative_amount(path: Path) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        open_budget(path, "1").take(-CENT)


def test_budget_refuses_to_settle_more_than_was_taken(path: Path) -> None:
    with pytest.raises(ValueError, match="more is settled than was taken"):
        open_budget(path, "1").settle(CENT, CENT)


def test_budget_needs_a_cap(path: Path) -> None:
    with pytest.raises(ValueError, match="at least one cap"):
        Budget(Ledger(path), [])


@pytest.mark.parametrize("limit", ["-1", "NaN", "Infinity", "9000001"])
def test_cap_refuses_a_limit_out_of_range(limit: str) -> None:
    with pytest.raises(ValueError, match="max_cost must be 0 to 9,000,000 US dollars"):
        SpendingCap("run", Decimal(limit), "max_cost")


def test_failed_report_is_repeated_by_the_next_close(path: Path) -> None:
    budget = open_budget(path, "1")
    assert spend(budget, CENT, CENT / 2)
    aside = path.rename(path.with_suffix(".aside"))
    for _ in range(2):
        with pytest.raises(LedgerError):
            budget.close()
        path.unlink()
    aside.rename(path)
    assert ledger_totals(path) == (0, 0.01)
    budget.close()
    assert ledger_totals(path) == (0.005, 0)


def test_threads_share_a_budget(path: Path) -> None:
    budget, counts = open_budget(path, "0.05"), []

    def run() -> None:
        count = 0
        while spend(budget, CENT / 100, CENT / 100):
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    budget.close()
    assert sum(counts) == 500
    assert ledger_totals(path) == (0.05, 0)


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
def test_money_that_may_have_been_billed_stays_within_the_caps(
    steps: list[tuple[int, str, int, int]],
) -> None:
    """Three processes of two runs share a cap; each that ends or dies is replaced by another."""
    limits = {"run 0": Decimal(1), "run 1": Decimal("0.8"), "backfill": Decimal("1.5")}
    runs = ("run 0", "run 0", "run 1")
    billed: dict[str, Decimal] = defaultdict(Decimal)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder, "ledger.db"))

        def begin(process: int) -> Budget:
            scopes = (runs[process], "backfill")
            return Budget(ledger, [SpendingCap(scope, limits[scope], scope) for scope in scopes])

        budgets = [begin(process) for process in range(3)]
        in_flight: list[deque[Decimal]] = [deque() for _ in budgets]
        for process, step, thousandths, percent in steps:
            budget, scopes = budgets[process], (runs[process], "backfill")
            if step == "send":
                most = Decimal(thousandths) / 1000
                if budget.take(most) or (budget.refill(most) and budget.take(most)):
                    in_flight[process].append(most)
                    for scope in scopes:
                        billed[scope] += most
            elif step == "land" and in_flight[process]:
                most = in_flight[process].popleft()
                cost = most * percent / 100
                for scope in scopes:
                    billed[scope] -= most - cost
                budget.settle(most, cost)
            elif step in ("close", "die"):
                if step == "close":
                    budget.close()
                # The calls in flight of the process may have been billed.
                in_flight[process].clear()
                budgets[process] = begin(process)
            for scope, limit in limits.items():
                counted = sum(ledger.state(scope))
                assert billed[scope] <= counted <= limit


def test_processes_share_a_cap_and_survive_a_kill(path: Path, tmp_path: Path) -> None:
    """Kill the first of four processes under a cap, and let the others spend the rest."""
    diary = tmp_path / "diary"
    diary.touch()
    children = start_together("spend_budget", path, diary, count=4)
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
    # No process starved, and together they spent all but the money held by the dead process.
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
