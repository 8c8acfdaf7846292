"""Specification of `spark_join`: the result of the local engine, for files split in any way."""

import random
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persona_assets.dedup.lexical.lexical_join import lexical_join
from persona_assets.dedup.text.word_hashes import word_hashes

pytest.importorskip("pyspark", reason="the extra spark is not installed")

from persona_assets.dedup.spark.spark_join import spark_join
from persona_assets.dedup.spark.spark_session import spark_session
from persona_assets_tests.dedup.spark.joined import assert_equal_joins, read_joined
from persona_assets_tests.dedup.texts import HOSTILE, NINE_TENTHS, ONE_HASH

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

THREE_QUARTERS = Fraction(3, 4)
HARD = [
    *(text for text in HOSTILE if text == text.encode(errors="replace").decode()),
    None,
    "?!",
    "nurse",
    "退休教师喜欢在花园里种花",
    "退休教师喜欢在花园里种花。",
    "ครูเกษียณ",
    "C++ and C#",
    "C and C",
    *ONE_HASH,
    " ".join(ONE_HASH),
    " ".join(reversed(ONE_HASH)),
    *["no one in particular"] * 40,
]


@pytest.fixture(scope="module")
def texts() -> list[str | None]:
    """Return sentences with variants, hostile texts and texts of two templates.

    The first template has two blanks, so that its texts share a large bucket. The second is long
    and has a single blank, so that all its texts are similar.
    """
    rng = random.Random(5)
    vocabulary = [f"w{int(rng.paretovariate(0.8))}" for _ in range(4000)]
    texts: list[str | None] = [*HARD]
    for _ in range(1200):
        words = rng.choices(vocabulary, k=rng.randrange(1, 40))
        texts.append(" ".join(words))
        for _ in range(rng.randrange(2)):
            varied = words[: rng.randrange(len(words) - len(words) // 6, len(words) + 1)]
            varied += [f"v{rng.randrange(10_000)}" for _ in range(rng.randrange(2))]
            rng.shuffle(varied)
            texts.append(" ".join(varied).upper())
    template = "a {} who has lived in {} for ten years and likes to read in the evening"
    texts += [template.format(f"job{rng.randrange(40)}", f"city{i}") for i in range(900)]
    long_template = " ".join(f"common{i}" for i in range(40))
    texts += [f"{long_template} name{i}" for i in range(60)]
    rng.shuffle(texts)
    return texts


@pytest.fixture(scope="module")
def bounds(texts: list[str | None]) -> list[int]:
    """Return the bounds of the shards, among which is an empty shard."""
    return [0, 1, 700, 700, 1300, 1900, 2500, len(texts)]


@pytest.fixture(scope="module")
def kept(texts: list[str | None]) -> npt.NDArray[np.bool_]:
    """Return a mask that keeps all, none or some rows of groups that span row groups of a file."""
    groups = np.arange(len(texts)) // 64 % 4
    rows = np.random.default_rng(1).random(len(texts)) < 0.6
    return np.where(groups == 0, True, np.where(groups == 1, False, rows))


@pytest.fixture(scope="module")
def shards(
    texts: list[str | None],
    kept: npt.NDArray[np.bool_],
    bounds: list[int],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[str]:
    folder = tmp_path_factory.mktemp("shards")
    files: list[str] = []
    for i, (start, stop) in enumerate(pairwise(bounds)):
        personas = pa.array(texts[start:stop], pa.string())
        files.append(str(folder / f"{9 - i} [odd] 100% ñame.parquet"))
        pq.write_table(
            pa.table({"persona": personas, "kept": kept[start:stop]}), files[-1], row_group_size=32
        )
    return files


@pytest.fixture(scope="module")
def spark() -> Iterator["SparkSession"]:
    # A single process, so that kernels are compiled once, but several partitions.
    session = spark_session("local[1]", {"spark.default.parallelism": "3"})
    assert session.sparkContext.defaultParallelism == 3
    yield session
    session.stop()


@pytest.mark.parametrize(
    ("threshold", "column", "hot", "rounds"),
    [(NINE_TENTHS, None, 24, 2), (THREE_QUARTERS, "kept", 50, 1)],
)
def test_spark_join_equals_the_local_engine(
    texts: list[str | None],
    kept: npt.NDArray[np.bool_],
    bounds: list[int],
    shards: list[str],
    threshold: Fraction,
    column: str | None,
    hot: int,
    rounds: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    hashes, _ = word_hashes(ONE_HASH)
    assert hashes[0] == hashes[1]
    takes_part = kept if column else np.ones(len(texts), np.bool_)
    # The local join runs first and compiles the kernels, so that Spark finds them in the cache.
    expected = lexical_join(pa.array(texts).filter(pa.array(takes_part)), threshold)
    spark: SparkSession = request.getfixturevalue("spark")
    lines: list[str] = []
    report = spark_join(
        spark, shards, str(tmp_path), threshold, kept=column, hot=hot, log=lines.append
    )
    members = [np.flatnonzero(takes_part[start:stop]) for start, stop in pairwise(bounds)]
    assert_equal_joins(read_joined(tmp_path, members), expected)
    assert sum("dealt out anew" in line for line in lines) >= rounds
    assert report.rows == takes_part.sum()
    assert report.sets == len(np.unique(expected.sets))
    assert report.candidates >= report.pairs == len(expected.edges) > 1000
    assert report.keys > report.sets
    assert list(report.seconds) == list(report.shuffle_bytes) == ["sets", "keys", "pairs"]
    assert all(value > 0 for value in report.shuffle_bytes.values())
    assert report.shuffle_bytes_per_row == sum(report.shuffle_bytes.values()) / report.rows


def test_spark_join_refuses_invalid_input_before_it_writes(
    spark: "SparkSession", shards: list[str], tmp_path: Path
) -> None:
    output = str(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"there is no file /nowhere/x\.parquet"):
        spark_join(spark, [shards[0], "/nowhere/x.parquet"], output)
    for files in ([], [shards[0], shards[0]], [shards[0], f"file://{shards[0]}"]):
        with pytest.raises(ValueError, match="at least one file, and none twice"):
            spark_join(spark, files, output)
    with pytest.raises(ValueError, match=r"at least 3/4, not 1/2: .* the local engine"):
        spark_join(spark, shards, output, Fraction(1, 2))
    with pytest.raises(TypeError, match=r"Fraction\(9, 10\)"):
        spark_join(spark, shards, output, 0.9)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'text' of type string among persona"):
        spark_join(spark, shards, output, text="text")
    with pytest.raises(ValueError, match="'persona' of type boolean"):
        spark_join(spark, shards, output, kept="persona")
    assert list(tmp_path.iterdir()) == []
