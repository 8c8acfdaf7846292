"""The command `withdraw`: a text goes, with all that was made from it."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from persona_assets.assets.graph import project_assets, table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.definitions import build_defs
from persona_assets.number_format import plural
from persona_assets.orchestration.instance import expected_keys, open_instance
from persona_assets.orchestration.run_history import forget_runs, require_no_runs
from persona_assets.orchestration.staleness import Graph
from persona_assets.planning.cost import refresh_catalog
from persona_assets.planning.unreached import purge_tables, remove_tables, unreached_tables
from persona_assets.planning.withdrawal import (
    CORPUS,
    WithdrawalError,
    find_descent,
    find_texts,
)
from persona_assets.planning.withdrawal_calls import bound_new_calls
from persona_assets.plots.pictures import clean_label
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.deduplicator import Deduplicator
from persona_assets.settings import Settings
from persona_assets.storage.withdrawals import TableName, Withdrawal, append_withdrawals
from persona_assets.terminal.figures import OUT, figure_table
from persona_assets.terminal.report import NAME as REPORT
from persona_assets.terminal.withdrawal_facts import print_calls, print_descent, print_outside

_REASON = 100
"""Characters of a reason that the list shows."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to those of a parser."""
    parser = commands.add_parser(
        "withdraw", help="withdraw a text, and all that was made from it with the next run"
    )
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT_ID", help="id of a text in raw_corpus, see trace"
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="reason, for the record")
    parser.add_argument(
        "--purge",
        action="store_true",
        help="remove the raw completions on the text, too; if it returns they are paid for again",
    )
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    parser.add_argument("--list", action="store_true", help="list the withdrawn texts")
    parser.add_argument("--undo", nargs="+", default=[], metavar="TEXT_ID", help="let texts return")
    parser.set_defaults(command=_withdraw)


def _withdraw(options: argparse.Namespace) -> int:
    if bool(options.texts) + options.list + bool(options.undo) != 1:
        raise WithdrawalError("name texts by their ids, or give --list, or --undo TEXT_ID")
    settings = Settings.load()
    project = Project(settings)
    if options.list:
        _print_withdrawn(project)
        return 0
    with open_instance(settings) as instance:
        runs = require_no_runs(instance)
    return _undo(project, options.undo) if options.undo else _withdraw_texts(project, options, runs)


def _withdraw_texts(project: Project, options: argparse.Namespace, runs_before: int) -> int:
    storage, settings = project.storage, project.settings
    tables = table_contracts(project_assets(project))
    catalog = Catalog(storage, tables)
    refresh_catalog(catalog, storage)
    known = storage.withdrawals()
    gone = [text for text in options.texts if _is_gone(project, known.find(text))]
    if len(gone) == len(options.texts):
        return _purge_later(project, [line for text in gone if (line := known.find(text))], options)
    if gone:
        raise WithdrawalError(f"{gone[0]} is withdrawn and in no table: leave it out")
    _require_no_batches(storage.data_dir / "journals")
    descent = find_descent(storage, catalog, tables, find_texts(storage, catalog, options.texts))
    graph = _graph(project)
    held = [*descent.rows.select("asset", "shard").unique().iter_rows(), *descent.whole]
    unreached = unreached_tables(graph, [*descent.whole, *descent.asked])
    print_descent(project, tables, descent, unreached)
    print_outside(project, tables, descent, [asset for asset, _ in held])
    print_calls(bound_new_calls(project, graph, tables, descent), descent, purges=options.purge)
    if not _agreed(options):
        return 1
    with open_instance(settings) as instance:
        if require_no_runs(instance) != runs_before:
            raise WithdrawalError(
                "nothing was written: a run has written tables meanwhile, repeat this command"
            )
        runs = forget_runs(instance, storage, held)
    lines = descent.withdrawals(known, options.reason, unreached, purges=options.purge)
    # With those that an earlier withdrawal removed, and did not purge.
    asked = dict.fromkeys(table for line in lines for table in line.tables)
    purged = unreached_tables(graph, tuple(asked)) if options.purge else ()
    purge_tables(storage, purged)
    remove_tables(storage, unreached)
    Deduplicator(settings, storage).forget()
    (storage.data_dir / REPORT).unlink(missing_ok=True)
    # Last: a command that was killed before is repeated from its beginning.
    append_withdrawals(storage.withdrawn, [*lines, *_purged(purged)])
    OUT.print(
        f"\n{plural(len(descent.texts), 'text')} withdrawn; the history of {plural(runs, 'run')}, "
        f"which shows rows, the indexes of near-duplicates and {REPORT} are removed. All rows go "
        "with the next run: persona-assets run",
        soft_wrap=True,
    )
    return 0


def _graph(project: Project) -> Graph:
    settings = project.settings
    with open_instance(settings) as instance:
        keys = expected_keys(instance, settings, Corpus.of(settings).files(), project.storage)
    return Graph(build_defs(settings).resolve_all_asset_specs(), keys)


def _purged(tables: Sequence[TableName]) -> list[Withdrawal]:
    """Return the line that tables without a run are purged; none without such tables."""
    return [Withdrawal(event="purged", tables=tuple(tables))] if tables else []


def _is_gone(project: Project, line: Withdrawal | None) -> bool:
    """Return True if a text is withdrawn, and the corpus of no shard holds it any more."""
    footers = (project.storage.footer(CORPUS, shard) for shard in (line.shards if line else ()))
    return line is not None and all(
        footer is None or line.content in footer.withdrawn for footer in footers
    )


def _purge_later(project: Project, lines: Sequence[Withdrawal], options: argparse.Namespace) -> int:
    """Have the completions of texts purged that were withdrawn without that."""
    if not options.purge or all(line.purges for line in lines):
        OUT.print("these texts are withdrawn already, and no table holds them")
        return 0
    tables = {table for line in lines for table in line.tables}
    unreached = unreached_tables(_graph(project), sorted(tables, key=str))
    OUT.print(
        f"The completions of {plural(len(tables), 'table')} that nothing asks for any more go with "
        "the next run, which makes these tables again and asks nothing for that; those of "
        "trainings that no setting names go at once.",
        soft_wrap=True,
    )
    if not _agreed(options):
        return 1
    purge_tables(project.storage, unreached)
    purging = [
        line.and_also(Withdrawal(event="withdrawn", reason=options.reason, purges=True))
        for line in lines
    ]
    append_withdrawals(project.storage.withdrawn, [*purging, *_purged(unreached)])
    return 0


def _undo(project: Project, texts: Sequence[str]) -> int:
    known = project.storage.withdrawals()
    lines: list[Withdrawal] = []
    for text in texts:
        line = known.find(text)
        if line is None:
            raise WithdrawalError(f"{text} is not withdrawn: see persona-assets withdraw --list")
        lines.append(Withdrawal(event="undone", content=line.content, shards=line.shards))
    append_withdrawals(project.storage.withdrawn, lines)
    OUT.print(
        f"{plural(len(lines), 'withdrawal')} undone: persona-assets plan tells what the next run "
        "makes again; purged completions are paid for again"
    )
    return 0


def _require_no_batches(journals: Path) -> None:
    """Raise WithdrawalError if a batch holds requests at a provider."""
    if open_batches := sorted(journals.rglob("*.batches/*.json")):
        raise WithdrawalError(
            f"a batch is under way ({open_batches[0].parent}) and may hold requests on the text: "
            "collect it by persona-assets run, and repeat this command"
        )


def _agreed(options: argparse.Namespace) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise WithdrawalError("nothing was written: add --yes to withdraw without being asked")
    if input("\nWithdraw? [y/N] ").strip().lower() in ("y", "yes"):
        return True
    OUT.print("nothing was written")
    return False


def _print_withdrawn(project: Project) -> None:
    table = figure_table("text", "time", "completions", "reason", left=4)
    withdrawals = project.storage.withdrawals()
    for line in withdrawals.active.values():
        purge = "to be purged" if not withdrawals.unpurged.isdisjoint(line.tables) else "purged"
        reason = escape(clean_label(line.reason, _REASON))
        table.add_row(" ".join(line.text_ids), line.time, purge if line.purges else "kept", reason)
    OUT.print(table)
