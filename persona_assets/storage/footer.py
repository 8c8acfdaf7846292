"""Footer of a table: its lineage, stored in the metadata of the Parquet file itself.

Footers are the truth about which tables exist and from which inputs they were made: staleness is
decided from footers alone, and the catalog is rebuilt from footers.
"""

import hashlib
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

_KEY = "persona_assets"


class Upstream(BaseModel):
    """Input table of a table, with the data version that was read.

    Args:
        dropped: Dropped rows of the input by reason, where they were read, too; no data version
            shows that they changed.
    """

    model_config = ConfigDict(frozen=True)

    asset: str
    shard: str | None
    data_version: str
    dropped: dict[str, int] | None = Field(default=None, exclude_if=lambda value: value is None)


class SourceFile(BaseModel):
    """Corpus file at the time of reading: size in bytes, modification time in ns, SHA-256."""

    model_config = ConfigDict(frozen=True)

    size: int
    mtime_ns: int
    sha256: str


class Footer(BaseModel):
    """Identity and lineage of a table.

    Args:
        shard: Partition key; None for an unpartitioned table.
        arrival: Position of the shard in the order of arrival; set on `raw_corpus` only.
        source: Corpus file that was read; set on `raw_corpus` only. A tombstone, the table of a
            deleted file, has no source.
        questions: Questions that the settings gave a usual table, by prompt; see `QuestionCounts`.
            Empty for a table without calls and for one of an earlier version.
        decisions: Numbers that were decided when the table was first made and that later versions
            of it keep, by name.
        withdrawn: Contents of the withdrawn texts that were left out; set on `raw_corpus` only.
    """

    model_config = ConfigDict(frozen=True)

    asset: str
    shard: str | None
    run_id: str
    code_version: str
    data_version: str
    prompt_versions: dict[str, str] = {}
    questions: dict[str, int] = {}
    upstream: tuple[Upstream, ...] = ()
    rows: int = 0
    dropped: dict[str, int] = {}
    arrival: int | None = None
    source: SourceFile | None = None
    decisions: dict[str, float] = {}
    withdrawn: tuple[str, ...] = Field(default=(), exclude_if=lambda value: not value)

    def as_metadata(self) -> dict[str, str]:
        """Return the key-value metadata to write into the Parquet file."""
        return {_KEY: self.model_dump_json()}

    @classmethod
    def read(cls, path: Path) -> "Footer":
        """Read the footer of a table.

        Raises:
            ValueError: The file has no footer or is damaged; the message names the file.
        """
        try:
            metadata = pl.read_parquet_metadata(path)
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"{path} is damaged ({error}): remove it and run again") from None
        if _KEY not in metadata:
            raise ValueError(f"{path} is not a table of this project: it has no footer; remove it")
        return cls.model_validate_json(metadata[_KEY])


def data_version(rows: pl.DataFrame) -> str:
    """Return a 128-bit hash of rows and schema, independent of the bytes of the file.

    Lists of float32 (vectors) are hashed as little-endian bytes, all other columns as JSON lines.
    """
    digest = hashlib.blake2b(str(rows.schema).encode(), digest_size=16)
    vectors = [name for name, kind in rows.schema.items() if kind == pl.List(pl.Float32)]
    for name in vectors:
        lengths = rows[name].list.len().fill_null(2**32 - 1)
        digest.update(lengths.to_numpy().astype("<u4").tobytes())
        digest.update(rows[name].explode().to_numpy().astype("<f4").tobytes())
    digest.update(rows.drop(vectors).write_ndjson().encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
