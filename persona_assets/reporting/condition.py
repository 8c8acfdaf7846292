"""Section on the condition of a project: what is stale or failed."""

from persona_assets.orchestration.condition import Condition
from persona_assets.orchestration.failures import FailedStep
from persona_assets.reporting.blocks import Block, Section, build_table


def condition_section(condition: Condition) -> Section:
    """Write the section on stale tables and failures."""
    blocks: list[Block] = [*condition.notes]
    if condition.shards is None:
        blocks.append("Without the corpus nobody can say which tables are stale.")
    elif condition.shards == 0:
        blocks.append("The corpus has no file yet.")
    elif not condition.stale:
        blocks.append("Everything is fresh: each table is made from the inputs of now.")
    if condition.stale and condition.shards:
        rows = [(asset, shard, reason) for (asset, shard), reason in condition.stale.items()]
        heads = ("table", "shard or size", "reason")
        blocks.append(build_table("Missing and stale tables", heads, rows, *heads[1:]))
    blocks += _failures(condition)
    return Section("condition", "What is stale or failed", blocks)


def _failures(condition: Condition) -> list[Block]:
    blocks: list[Block] = []
    if condition.failures:
        heads = ("time (UTC)", "table", "shard or size", "message", "since then", "run")
        rows = [
            (
                f"{failure.time:%Y-%m-%d %H:%M}",
                failure.asset,
                failure.partition,
                failure.message,
                _since(condition, failure),
                failure.run_id[:8],
            )
            for failure in condition.failures
        ]
        blocks.append(build_table("Failures of recent runs, newest first", heads, rows, *heads[1:]))
    else:
        blocks.append("No failed run is recorded.")
    if condition.checks:
        columns = ("check", "table", "shard or size", "severity", "finding")
        found = [
            (
                check.check,
                check.asset,
                check.partition,
                "error" if check.is_error else "warning",
                check.message,
            )
            for check in condition.checks
        ]
        blocks.append(build_table("Checks that failed last", columns, found, *columns[1:]))
    return blocks


def _since(condition: Condition, failure: FailedStep) -> str:
    if not failure.asset:
        return ""
    is_open = (failure.asset, failure.partition) in condition.stale
    return "still to be made" if is_open else "made"
