"""Output of `withdraw`: rows that go, copies that no run reaches, new calls."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import polars as pl
from rich.markup import escape

from persona_assets.number_format import format_price, plural
from persona_assets.planning.unreached import MODEL, files_without_asset
from persona_assets.planning.withdrawal import CORPUS, Descent
from persona_assets.planning.withdrawal_calls import NewCalls, total_calls
from persona_assets.plots.pictures import clean_label
from persona_assets.project import Project
from persona_assets.publishing.record import Published, publications_with
from persona_assets.resources.validity_folder import draws_with
from persona_assets.storage.withdrawals import TableName
from persona_assets.tables import Table
from persona_assets.terminal.figures import OUT, figure_table

_TEXT = 100
"""Characters of a row's text that a line shows."""

_SHOWN = 20
"""Number of rows of an asset that are printed with their texts."""


def print_descent(
    project: Project,
    tables: Mapping[str, Table],
    descent: Descent,
    unreached: Collection[TableName],
) -> None:
    """Print the texts, all that goes with them, and the duplicates that may return."""
    _print_texts(descent)
    _print_rows(project, tables, descent)
    _print_whole(project, descent, unreached)
    _print_returning(descent)


def print_outside(
    project: Project, tables: Mapping[str, Table], descent: Descent, assets: Sequence[str]
) -> None:
    """Print the copies that no run reaches: publications, draws for raters, files of removed tasks.

    Args:
        project: Settings and tables.
        tables: Contract of each table, by asset.
        descent: Rows that go.
        assets: Assets of the tables that hold them.
    """
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
    for file in files_without_asset(project.storage, tables, descent.shards):
        OUT.print(
            f"{data_dir}/{clean_label(file, _TEXT)}: of no asset of the project, and may hold such "
            "rows: remove it",
            soft_wrap=True,
            markup=False,
        )


def print_calls(bounds: Sequence[NewCalls], descent: Descent, *, purges: bool) -> None:
    """Print the bounds on new calls, and the fate of the completions."""
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
        if asset != CORPUS and tables[asset].makes:
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


def _print_whole(project: Project, descent: Descent, unreached: Collection[TableName]) -> None:
    """Print the tables made from whole tables, and the models."""
    again = [table for table in descent.whole if table not in unreached]
    for fate, names in (
        ("made again from what remains", again),
        ("removed at once, as no setting names the training", unreached),
    ):
        if names:
            listed = ", ".join(map(_name, names))
            OUT.print(f"\n{fate}: {listed}", soft_wrap=True, markup=False)
    for asset, training in descent.whole:
        if asset == MODEL:
            fate = "is trained again and replaced" if (asset, training) in again else "is removed"
            rows = project.storage.scan(asset, training).select("path").collect()
            for path in rows["path"]:
                OUT.print(
                    f"model {training}: {project.storage.data_dir / path} was trained on such "
                    f"rows; it {fate}, and copies elsewhere are yours to remove",
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
