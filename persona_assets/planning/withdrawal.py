"""Facts on a withdrawal before it is made: copies of the texts, rows made from them, duplicates.

Nothing is written, and nothing is asked of a model.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from persona_assets.assets.corpus import MAX_CHARS
from persona_assets.catalog.catalog import Catalog
from persona_assets.ids import text_content
from persona_assets.storage.storage import Storage
from persona_assets.storage.withdrawals import TableName, Withdrawal, Withdrawals
from persona_assets.tables import Table

CORPUS = "raw_corpus"
"""Asset of the texts."""


class WithdrawalError(ValueError):
    """A text cannot be withdrawn; the message says what to do."""


@dataclass(frozen=True)
class StoredText:
    """Text of a shard, with its content as in `ids.text_content`."""

    text_id: str
    shard: str
    text: str

    @property
    def content(self) -> str:
        """Content of the text."""
        return text_content(self.text)

    @property
    def may_be_cut(self) -> bool:
        """True if the text may have been cut: a cut leaves at least half of the limit."""
        return len(self.text) > MAX_CHARS // 2

    def is_cut_copy_of(self, other: "StoredText") -> bool:
        """Return True if both may be parts of one text, which other spaces had cut elsewhere."""
        words, others = (" ".join(each.text.split()) for each in (self, other))
        return self.may_be_cut and (words.startswith(others) or others.startswith(words))


@dataclass(frozen=True)
class Descent:
    """Rows that descend from withdrawn texts.

    Attributes:
        texts: The texts, with their copies in other shards.
        rows: Rows made from them one by one: columns asset, shard, row_id.
        whole: Tables made from whole tables that hold such rows, as training sets and models are.
        returning: Duplicates that lost to such a row and are no such row themselves: columns asset,
            row_id, survivor_id.
        asked: Tables with completions that were made from such rows.
    """

    texts: tuple[StoredText, ...]
    rows: pl.DataFrame
    whole: tuple[TableName, ...]
    returning: pl.DataFrame
    asked: tuple[TableName, ...]

    @property
    def ids(self) -> frozenset[str]:
        """Ids of the rows."""
        return frozenset(self.rows["row_id"])

    @property
    def shards(self) -> tuple[str, ...]:
        """Shards that hold the texts."""
        return tuple(dict.fromkeys(text.shard for text in self.texts))

    def withdrawals(
        self,
        known: Withdrawals,
        reason: str,
        unreached: Sequence[TableName] = (),
        *,
        purges: bool,
    ) -> list[Withdrawal]:
        """Return the lines that withdraw the texts.

        Args:
            known: Earlier withdrawals, which the lines continue.
            reason: Reason in a person's words.
            unreached: Further tables, which no run makes again and which are removed.
            purges: True to have the completions purged.
        """
        by_content: dict[str, list[StoredText]] = {}
        for text in self.texts:
            by_content.setdefault(text.content, []).append(text)
        lines = [
            Withdrawal(
                event="withdrawn",
                content=content,
                text_ids=tuple(text.text_id for text in texts),
                shards=tuple(text.shard for text in texts),
                reason=reason,
                tables=tuple(dict.fromkeys((*self.asked, *unreached))),
                purges=purges,
            )
            for content, texts in by_content.items()
        ]
        before = known.active
        return [before.get(line.content, line).and_also(line) for line in lines]


def find_texts(storage: Storage, catalog: Catalog, ids: Sequence[str]) -> tuple[StoredText, ...]:
    """Find texts by their ids, and all copies of them in any shard.

    Raises:
        WithdrawalError: An id is of another row; the message names its text.
        CatalogError: No row has an id, or the catalog cannot be read.
    """
    named = list(_texts(storage, pl.col("text_id").is_in(list(ids))))
    missing = [row_id for row_id in ids if row_id not in {text.text_id for text in named}]
    if missing:
        raise WithdrawalError(_not_a_text(catalog, missing[0]))
    contents = {text.content for text in named}
    cut = [text for text in named if text.may_be_cut]
    # Spaces within a text may differ, its first word does not.
    heads = sorted({text.text.split(maxsplit=1)[0] for text in named})
    begins = pl.any_horizontal(pl.col("text").str.starts_with(head) for head in heads)
    return tuple(
        text
        for text in _texts(storage, begins)
        if text.content in contents or any(map(text.is_cut_copy_of, cut))
    )


def find_descent(
    storage: Storage,
    catalog: Catalog,
    tables: Mapping[str, Table],
    texts: tuple[StoredText, ...],
) -> Descent:
    """Find all that was made from texts.

    Args:
        storage: Tables of the project.
        catalog: Catalog of the project, up to date.
        tables: Contract of each table, by asset.
        texts: Texts with all their copies.

    Raises:
        CatalogError: The catalog cannot be read.
    """
    affected = pl.concat(catalog.affected_by(text.text_id) for text in texts).unique(
        maintain_order=True
    )
    aggregates = [asset for asset, table in tables.items() if table.aggregates]
    is_whole = pl.col("asset").is_in(aggregates)
    whole = affected.filter(is_whole).select("asset", "shard").unique(maintain_order=True)
    rows = affected.filter(~is_whole)
    holding = set(rows.select("asset", "shard").unique().iter_rows())
    return Descent(
        texts,
        rows,
        tuple(whole.iter_rows()),
        _returning(storage, tables, rows["row_id"]),
        _asked(storage, tables, holding),
    )


def _texts(storage: Storage, condition: pl.Expr) -> Iterator[StoredText]:
    for table in storage.shard_tables(CORPUS):
        rows = table.scan().filter(condition).select("text_id", "text").collect()
        for text_id, text in rows.iter_rows():
            yield StoredText(text_id, table.shard, text)


def _not_a_text(catalog: Catalog, row_id: str) -> str:
    chain = catalog.trace(row_id)
    texts = chain.filter(pl.col("asset") == CORPUS)["row_id"].to_list()
    asset = chain["asset"][0]
    if not texts:
        return (
            f"{row_id} is a row of {asset} and came from no text of the corpus: remove its text "
            "from the file that it came from, and run again"
        )
    named = " and ".join(texts)
    return (
        f"{row_id} is a row of {asset} and came from {named}: withdraw that text, and all that was "
        f"made from it goes: persona-assets withdraw {' '.join(texts)}"
    )


def _returning(storage: Storage, tables: Mapping[str, Table], ids: pl.Series) -> pl.DataFrame:
    found = [pl.DataFrame(schema=dict.fromkeys(("asset", "row_id", "survivor_id"), pl.String))]
    gone = ids.unique().implode()
    for asset, table in tables.items():
        if table.duplicates and storage.footer(asset, None) is not None:
            is_returning = pl.col("survivor_id").is_in(gone) & ~pl.col(table.row_id).is_in(gone)
            lost = storage.scan(asset, None).filter(is_returning)
            columns = pl.lit(asset).alias("asset"), pl.col(table.row_id).alias("row_id")
            found.append(lost.select(*columns, "survivor_id").collect())
    return pl.concat(found)


def _asked(
    storage: Storage, tables: Mapping[str, Table], holding: Collection[TableName]
) -> tuple[TableName, ...]:
    """Return the tables with completions that may have been made from rows of the texts.

    These are tables of a text's shard, also without rows of it now: a task may have been tried, or
    made before the text was withdrawn once and returned.
    """
    by_rows = {name for name, table in tables.items() if not table.aggregates}
    shards = {shard for _, shard in holding if shard is not None}
    in_shards = {(asset, shard) for asset in by_rows for shard in shards}
    from_rows = {
        (footer.asset, footer.shard)
        for _, footer in storage.footers()
        if footer.asset in tables and any((up.asset, up.shard) in holding for up in footer.upstream)
    }
    found = (
        table
        for table in in_shards | from_rows
        if storage.journal(*table).exists() or storage.completions(*table).exists()
    )
    return tuple(sorted(found, key=lambda table: (table[0], table[1] or "")))
