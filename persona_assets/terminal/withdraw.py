"""The command `withdraw`: a text goes, with all that was made from it."""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl
from rich.markup import escape

from persona_assets.assets.graph import project_assets, table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.definitions import build_defs
from persona_assets.number_format import format_price, plural
from persona_assets.orchestration.instance import expected_keys, open_instance
from persona_assets.orchestration.run_history import forget_tables, require_no_runs
from persona_assets.orchestration.staleness import Graph
from persona_assets.planning.cost import refresh_catalog
from persona_assets.planning.withdrawal import (
    Descent,
    WithdrawalError,
    find_descent,
    find_texts,
)
from persona_assets.planning.withdrawal_calls import NewCalls, bound_new_calls, total_calls
from persona_assets.plots.pictures import clean_label
from persona_assets.project import Project
from persona_assets.publishing.record import Published, publications_with
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.deduplicator import Deduplicator
from persona_assets.resources.validity_folder import draws_with
from persona_assets.settings import Settings
from persona_assets.storage.withdrawals import TableName, Withdrawal, append_withdrawals
from persona_assets.tables import Table
from persona_assets.terminal.figures import OUT, figure_table
from persona_assets.terminal.report import NAME as REPORT

_TEXT = 100
"""Characters of a row's text that a line shows."""

_SHOWN = 20
"""Number of rows of an asset that are printed with their texts."""

_MODEL = "fine_tuned_model"


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
        require_no_runs(instance)
    return _undo(project, options.undo) if options.undo else _withdraw_texts(project, options)


def _withdraw_texts(project: Project, options: argparse.Namespace) -> int:
    storage, settings = project.storage, project.settings
    tables = table_contracts(project_assets(project))
    catalog = Catalog(storage, tables)
    refresh_catalog(catalog, storage)
    known = storage.withdrawals()
    gone = [line for text in options.texts if (line := known.find(text)) is not None]
    if gone and _are_made_again(project, gone):
        return _purge_later(project, gone, options)
    _require_no_batches(storage.data_dir / "journals")
    descent = find_descent(storage, catalog, tables, find_texts(storage, catalog, options.texts))
    with open_instance(settings) as instance:
        keys = expected_keys(instance, settings, Corpus.of(settings).files(), storage)
    graph = Graph(build_defs(settings).resolve_all_asset_specs(), keys)
    held = [*descent.rows.select("asset", "shard").unique().iter_rows(), *descent.whole]
    _print_texts(descent)
    _print_rows(project, tables, descent)
    _print_whole(project, descent)
    _print_returning(descent)
    _print_outside(project, descent, [asset for asset, _ in held])
    _print_calls(bound_new_calls(project, graph, tables, descent), descent, options.purge)
    if not _agreed(options):
        return 1
    with open_instance(settings) as instance:
        # A run may have begun while a person read.
        require_no_runs(instance)
        runs = forget_tables(instance, storage, held)
    Deduplicator(settings, storage).forget()
    (storage.data_dir / REPORT).unlink(missing_ok=True)
    # Last: a command that was killed before is repeated from its beginning.
    append_withdrawals(storage.withdrawn, descent.withdrawals(options.reason, purges=options.purge))
    OUT.print(
        f"\n{plural(len(descent.texts), 'text')} withdrawn; the history of {plural(runs, 'run')}, "
        "which shows rows, and the indexes of near-duplicates are removed. All rows go with the "
        "next run: persona-assets run",
        soft_wrap=True,
    )
    return 0


def _are_made_again(project: Project, lines: Sequence[Withdrawal]) -> bool:
    """Return True if no table of a shard holds the texts any more."""
    storage = project.storage
    return all(
        footer is None or line.content in footer.withdrawn
        for line in lines
        for shard in line.shards
        for footer in [storage.footer("raw_corpus", shard)]
    )


def _purge_later(project: Project, lines: Sequence[Withdrawal], options: argparse.Namespace) -> int:
    """Have the completions of texts purged that were withdrawn without that."""
    if not options.purge or all(line.purges for line in lines):
        OUT.print("these texts are withdrawn already, and no table holds them")
        return 0
    count = len({table for line in lines for table in line.tables})
    OUT.print(
        f"The completions of {plural(count, 'table')} that nothing asks for any more go with the "
        "next run, which makes these tables again and asks nothing for that.",
        soft_wrap=True,
    )
    if not _agreed(options):
        return 1
    copies = [
        Withdrawal(
            event="withdrawn",
            content=line.content,
            text_ids=line.text_ids,
            shards=line.shards,
            reason=options.reason or line.reason,
            tables=line.tables,
            purges=True,
        )
        for line in lines
    ]
    append_withdrawals(project.storage.withdrawn, copies)
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
    unpurged = withdrawals.unpurged
    for line in withdrawals.active.values():
        purge = "to be purged" if not unpurged.isdisjoint(line.tables) else "purged"
        reason = escape(clean_label(line.reason, _TEXT))
        table.add_row(" ".join(line.text_ids), line.time, purge if line.purges else "kept", reason)
    OUT.print(table)


def _print_texts(descent: Descent) -> None:
    texts, shards = plural(len(descent.texts), "text"), plural(len(descent.shards), "shard")
    OUT.print(f"[bold]{texts} of {shards}[/bold]")
    for text in descent.texts:
        line = f"{text.text_id}  {clean_label(text.shard, _TEXT)}  {clean_label(text.text, _TEXT)}"
        OUT.print(line, soft_wrap=True, markup=False)


def _print_rows(project: Project, tables: Mapping[str, Table], descent: Descent) -> None:
    """Print the rows by asset, and the texts of those that a table has created."""
    counts = descent.rows.group_by("asset", maintain_order=True).agg(
        pl.len().alias("rows"), pl.col("shard").n_unique().alias("tables")
    )
    table = figure_table("asset", "tables", "rows that go", left=1)
    for asset, rows, number in counts.iter_rows():
        table.add_row(escape(asset), f"{number:,}", f"{rows:,}")
    OUT.print()
    OUT.print(table)
    for asset in counts["asset"]:
        if asset != "raw_corpus" and tables[asset].makes:
            lines = list(_lines(project, tables[asset], descent, asset))
            OUT.print(f"\n[bold]{escape(asset)}[/bold]")
            for line in lines[:_SHOWN]:
                OUT.print(line, soft_wrap=True, markup=False)
            if len(lines) > _SHOWN:
                OUT.print(f"and {len(lines) - _SHOWN:,} more")


def _lines(project: Project, table: Table, descent: Descent, asset: str) -> Iterator[str]:
    of_asset = descent.rows.filter(pl.col("asset") == asset)
    for (shard,), rows in of_asset.group_by("shard", maintain_order=True):
        partition = None if shard is None else str(shard)
        found = project.storage.scan(asset, partition).filter(
            pl.col(table.row_id).is_in(rows["row_id"].implode())
        )
        text = pl.lit("") if table.text is None else pl.col(table.text).cast(pl.String)
        for row_id, words in found.select(table.row_id, text=text).collect().iter_rows():
            yield f"{row_id}  {clean_label(words or '', _TEXT)}".rstrip()


def _print_whole(project: Project, descent: Descent) -> None:
    """Print the tables made from whole tables, and the models."""
    if descent.whole:
        names = ", ".join(_name(table) for table in descent.whole)
        OUT.print(f"\nmade again from what remains: {names}", soft_wrap=True, markup=False)
    for asset, size in descent.whole:
        if asset == _MODEL:
            rows = project.storage.scan(asset, size).select("path").collect()
            for path in rows["path"]:
                OUT.print(
                    f"model {size}: {project.storage.data_dir / path} was trained on such rows; it "
                    "is trained again and replaced, and copies elsewhere are yours to remove",
                    soft_wrap=True,
                    markup=False,
                )


def _name(table: TableName) -> str:
    asset, partition = table
    return asset if partition is None else f"{asset} ({clean_label(partition)})"


def _print_returning(descent: Descent) -> None:
    for asset, number in descent.returning.group_by("asset").len().sort("asset").iter_rows():
        OUT.print(
            f"{asset}: {plural(number, 'duplicate')} of a row that goes may return in its place",
            soft_wrap=True,
            markup=False,
        )


def _print_outside(project: Project, descent: Descent, assets: Sequence[str]) -> None:
    """Print the copies that no run reaches."""
    data_dir = project.storage.data_dir
    for published in publications_with(data_dir, descent.ids, assets):
        OUT.print(_describe_publication(published), soft_wrap=True, markup=False)
    for path, number in draws_with(data_dir, descent.ids):
        OUT.print(
            f"{path}: a draw for raters holds {plural(number, 'such sample')}: remove the folder "
            "and the raters' sheets, and draw again",
            soft_wrap=True,
            markup=False,
        )


def _describe_publication(published: Published) -> str:
    rows = "may hold such rows" if published.rows is None else f"holds {published.rows:,} such rows"
    cure = f"publish {published.name} again into {published.folder} after the run"
    if published.repo is not None:
        cure += (
            f" with --push {published.repo}, and delete the earlier commits there: a hub keeps "
            "every version"
        )
    where = published.folder if published.repo is None else f"{published.repo} (hub)"
    return f"published: {where} {rows}: {cure}"


def _print_calls(bounds: Sequence[NewCalls], descent: Descent, purges: bool) -> None:
    OUT.print()
    if not bounds:
        OUT.print("The next run asks nothing new for this.")
    else:
        table = figure_table("asset", "new calls at most", "US dollars at most", left=1)
        for bound in (*bounds, total_calls(bounds)):
            price = format_price(bound.cost, 0 if bound.cost is not None else bound.most)
            table.add_row(escape(bound.asset), f"{bound.most:,}", price)
        OUT.print(table)
    fate = (
        "of these, the responses that no remaining row asks for go with the next run, those of "
        "earlier prompts and models included; their accounts stay, and a text that returns pays "
        "for them again"
        if purges
        else "they stay, so that a text that returns costs nothing (--purge removes them)"
    )
    OUT.print(
        f"Completions of {plural(len(descent.asked), 'table')} hold answers on the text: {fate}.",
        soft_wrap=True,
    )
