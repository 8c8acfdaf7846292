"""The footer of a table: its lineage, carried by the Parquet file itself.

Footers are the truth about what exists and what it was made from: staleness is decided from them
and the catalog is rebuilt from them.
"""

import hashlib
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

_KEY = "persona_assets"


class Upstream(BaseModel):
    """One table that was read, and the version of it that was read."""

    model_config = ConfigDict(frozen=True)

    asset: str
    shard: str | None
    data_version: str


class SourceFile(BaseModel):
    """A corpus file as it was read: size in bytes, modification time in ns, SHA-256."""

    model_config = ConfigDict(frozen=True)

    size: int
    mtime_ns: int
    sha256: str


class Footer(BaseModel):
    """What a table is and where it came from. `shard` is None for an unpartitioned table.

    `arrival` and `source` are set on `raw_corpus` alone: the shard's place in the order of arrival
    and the file that was read; a tombstone, the table of a deleted file, has no source.
    """

    model_config = ConfigDict(frozen=True)

    asset: str
    shard: str | None
    run_id: str
    code_version: str
    data_version: str
    prompt_versions: dict[str, str] = {}
    upstream: tuple[Upstream, ...] = ()
    rows: int = 0
    dropped: dict[str, int] = {}
    arrival: int | None = None
    source: SourceFile | None = None

    def as_metadata(self) -> dict[str, str]:
        """The key-value metadata to write into the Parquet file."""
        return {_KEY: self.model_dump_json()}

    @classmethod
    def read(cls, path: Path) -> "Footer":
        """The footer of a table. Raises ValueError naming a file that has none or is damaged."""
        try:
            metadata = pl.read_parquet_metadata(path)
        except pl.exceptions.PolarsError as error:
            raise ValueError(f"{path} is damaged ({error}): remove it and run again") from None
        if _KEY not in metadata:
            raise ValueError(f"{path} is not a table of this project: it has no footer; remove it")
        return cls.model_validate_json(metadata[_KEY])


def data_version(rows: pl.DataFrame) -> str:
    """128-bit hash of rows and schema: equal for equal rows, whatever the file's bytes.

    Lists of floats (vectors) are hashed as their little-endian bytes, everything else as JSON
    lines.
    """
    digest = hashlib.blake2b(str(rows.schema).encode(), digest_size=16)
    vectors = [name for name, kind in rows.schema.items() if kind == pl.List(pl.Float32)]
    for name in vectors:
        lengths = rows[name].list.len().fill_null(2**32 - 1)
        digest.update(lengths.to_numpy().astype("<u4").tobytes())
        digest.update(rows[name].explode().to_numpy().astype("<f4").tobytes())
    digest.update(rows.drop(vectors).write_ndjson().encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
