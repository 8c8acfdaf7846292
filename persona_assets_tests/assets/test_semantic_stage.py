"""The assets of the semantic stage, over HTTP and with the embedded model: who goes, who stays."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import pytest

from persona_assets.assets.graph import call_bounds
from persona_assets.dedup.index.vector_index import to_matrix
from persona_assets.definitions import build_defs
from persona_assets.ids import content_id
from persona_assets.local_models.embedder import MINILM, int8_margin
from persona_assets.project import Project
from persona_assets.settings import Settings
from persona_assets.steps.hub import HUB
from persona_assets.steps.probes import PROBES
from persona_assets.storage.step_result import typed_frame
from persona_assets.storage.storage import Storage
from persona_assets_tests.generation.fault_server import FaultServer, embeddings
from persona_assets_tests.sample_tables import publish

DIMENSIONS = 64
KEY_VARIABLE = "KEY_OF_AN_EMBEDDER"

NURSE = "A retired nurse who teaches children to swim"
TWICE = "A nurse, now retired, who teaches swimming to children"
BAKER = "A baker who repairs old ovens in Porto"
THAI = ["ครูวัยเกษียณที่ชอบปลูกกล้วยไม้", "ชาวประมงหนุ่มที่ซ่อมเครื่องยนต์เรือ", "แม่ค้าขายผลไม้ริมคลอง"]
GREEK = ["Ένας δάσκαλος που ψαρεύει τη νύχτα", "Μια ναύτης που γράφει ποιήματα"]
MONGOLIAN = "ᠪᠠᠭᠰᠢ"


class Embeddings(FaultServer):
    """Has a vector for each text, by its sorted words, and a single one for all of Thai."""

    def reply(self, message: str, body: dict[str, Any]) -> str:
        return embeddings([self.vector(text).tolist() for text in body["input"]])

    def vector(self, text: str) -> np.ndarray:
        thai = "\u0e00" <= text[0] <= "\u0e7f"
        seed = int(content_id("Thai" if thai else " ".join(sorted(text.split()))), 16)
        return np.random.default_rng(seed).standard_normal(DIMENSIONS)

    @property
    def inputs(self) -> list[str]:
        return [text for body in self.bodies for text in body["input"]]


class Stage:
    """A project that has lexical survivors, and of it the assets up to the hub."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = Settings.load(data_dir=folder, dedup_threads=2, **settings)
        self.storage = Storage(folder)
        self.shards: list[str] = []
        self.ids: dict[str, str] = {}

    def write(self, shard: str, texts: Sequence[str]) -> None:
        """A shard of lexical survivors."""
        self.ids |= {content_id(text): text for text in texts}
        rows = typed_frame(
            [{"persona_id": content_id(text), "persona": text} for text in texts], HUB
        )
        publish(self.storage, "lexical_survivors", shard, rows)
        self.shards.append(shard)

    def make(self, asset: str, shard: str | None = None) -> Mapping[str, Any]:
        """Materializes a table, whose checks all pass; its metadata."""
        job = self._graph.get_subset(asset_selection={dg.AssetKey(asset)})
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("shards", self.shards)
            done = job.execute_in_process(
                instance=instance,
                tags={} if shard is None else {"dagster/partition": shard},
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        checks = done.get_asset_check_evaluations()
        assert {check.check_name: check.passed for check in checks} == dict.fromkeys(
            (check.check_name for check in checks), True
        )
        [made] = done.asset_materializations_for_node(asset)
        return {name: value.value for name, value in made.metadata.items()}

    @cached_property
    def _graph(self) -> dg.JobDefinition:
        return build_defs(self.settings).resolve_implicit_global_asset_job_def()

    def gone(self) -> dict[str, str]:
        """Texts that are gone, each with its survivor's."""
        rows = self.storage.scan("semantic_duplicates", None).collect()
        pairs = rows.select("persona_id", "survivor_id").iter_rows()
        return {self.ids[one]: self.ids[other] for one, other in pairs}

    def embedded(self, shard: str) -> pl.DataFrame:
        return self.storage.scan("persona_embeddings", shard).collect()


@pytest.fixture
def server() -> Iterator[Embeddings]:
    with Embeddings() as server:
        yield server


@pytest.fixture
def over_http(
    server: Embeddings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Settings with the server as the embedder."""
    monkeypatch.setenv(KEY_VARIABLE, "a key")
    embedder = {
        "model": "m",
        "base_url": server.url,
        "api_key_env": KEY_VARIABLE,
        "price": {"input": 1, "output": 0},
    }
    return {"embedder": embedder, "embedding_dimensions": DIMENSIONS}


def test_texts_that_an_endpoint_cannot_read_are_nobody_s_duplicates(
    server: Embeddings, over_http: dict[str, Any], tmp_path: Path
) -> None:
    stage = Stage(tmp_path, **over_http)
    again = " ".join(reversed(GREEK[0].split()))
    stage.write("a.jsonl", [NURSE, THAI[0], GREEK[0], THAI[1]])
    stage.write("b.jsonl", [" ".join(reversed(NURSE.split())), THAI[2], again, MONGOLIAN])
    stage.write("c.jsonl", [BAKER])
    told = [stage.make("persona_embeddings", shard) for shard in stage.shards]

    # Probes go with the personas, in the same call, and none where none is needed.
    assert [made["calls"] for made in told] == [1, 1, 1]
    assert server.inputs.count(PROBES["Thai"][0]) == server.inputs.count(PROBES["Greek"][0]) == 2
    assert not set(server.inputs) & set(PROBES["Han"])
    assert server.bodies[-1]["input"] == [BAKER]
    assert all(made["cost_usd"] > 0 for made in told)
    bound = call_bounds(Project(stage.settings), 3, texts=3).calls("persona_embeddings")
    assert bound is not None
    assert sum(made["calls"] for made in told) <= bound
    unread = [(it["unread_texts"], it["unread_scripts"], it["unprobed_texts"]) for it in told]
    assert unread == [(2, "Thai 2", 0), (1, "Thai 1", 1), (0, "none", 0)]

    made = stage.make("semantic_duplicates")
    assert stage.gone() == {" ".join(reversed(NURSE.split())): NURSE, again: GREEK[0]}
    assert (made["unread_texts"], made["unread_scripts"]) == (3, "Thai 3")
    assert made["unprobed_texts"] == 1
    assert "pairs_checked_anew" not in made

    # What was answered is not asked again.
    billed, rows = server.billed.total(), stage.embedded("a.jsonl")
    assert stage.make("persona_embeddings", "a.jsonl")["replayed"] == 1
    assert stage.embedded("a.jsonl").equals(rows)
    assert server.billed.total() == billed


def test_which_shard_a_text_is_in_changes_nothing_of_its_row(
    over_http: dict[str, Any], tmp_path: Path
) -> None:
    texts = [NURSE, *THAI, *GREEK, MONGOLIAN, BAKER]
    one, many = Stage(tmp_path / "one", **over_http), Stage(tmp_path / "many", **over_http)
    one.write("a.jsonl", texts)
    for number, end in enumerate((2, 5, 8)):
        many.write(f"{number}.jsonl", texts[end - 3 : end] if number else texts[:2])
    for stage in (one, many):
        for shard in stage.shards:
            stage.make("persona_embeddings", shard)
    split = pl.concat([many.embedded(shard) for shard in many.shards])
    assert one.embedded("a.jsonl").equals(split)


def test_another_threshold_reads_more_or_less_and_asks_nothing(
    server: Embeddings, over_http: dict[str, Any], tmp_path: Path
) -> None:
    angles = {text: 0.2 * place for place, text in enumerate([*PROBES["Greek"], GREEK[0]])}
    angles[GREEK[1]] = angles[GREEK[0]] + 0.1
    server.vector = lambda text: np.array([np.cos(angles[text]), np.sin(angles[text])])  # type: ignore[method-assign]
    stage = Stage(tmp_path, **over_http)
    stage.write("a.jsonl", GREEK)
    stage.make("persona_embeddings", "a.jsonl")
    billed = server.billed.total()
    # Two probes have a cosine of 0.980, the two texts one of 0.995.
    for threshold, unread, gone in ((0.9, 2, {}), (0.99, 0, {GREEK[1]: GREEK[0]})):
        other = Stage(tmp_path, semantic_threshold=threshold, **over_http)
        other.shards, other.ids = stage.shards, stage.ids
        assert other.make("semantic_duplicates")["unread_texts"] == unread
        assert other.gone() == gone
    assert server.billed.total() == billed


EDITS = [
    ("A retired", "An old"),
    ("teaches", "instructs"),
    ("children", "kids"),
    ("to swim", "to dive"),
    ("A retired nurse who", "A retired doctor who"),
    ("swim", "swim in the sea"),
]


def test_int8_with_a_check_anew_finds_what_fp32_finds(tmp_path: Path) -> None:
    embedder = {"embedder": {"model": MINILM, "embedded": True}, "embedding_dimensions": None}
    edited = [NURSE.replace(*edit) for edit in EDITS]
    shards = {"a": [NURSE, BAKER, *THAI, *edited[:3]], "b": [TWICE, *edited[3:]]}
    found: dict[str, dict[str, str]] = {}
    vectors: dict[str, np.ndarray] = {}
    for precision in ("fp32", "int8"):
        stage = Stage(tmp_path / precision, embedding_precision=precision, **embedder)
        for shard, texts in shards.items():
            stage.write(shard, texts)
            stage.make("persona_embeddings", shard)
        made = stage.make("semantic_duplicates")
        found[precision] = stage.gone()
        vectors[precision] = to_matrix(stage.embedded("a")["vector"])
        assert made["unread_texts"] == len(THAI)
        if precision == "int8":
            assert made["pairs_checked_anew"] > made["pairs_fallen"] > 0
            assert made["texts_embedded_anew"] > 0
            assert stage.make("semantic_duplicates")["texts_embedded_anew"] == 0
    assert found["int8"] == found["fp32"]
    assert TWICE in found["fp32"]
    off = np.abs((vectors["int8"] * vectors["fp32"]).sum(axis=1) - 1)
    assert 1e-4 < off[0] < int8_margin(0.9)


def test_int8_says_so_where_a_text_is_missing(tmp_path: Path) -> None:
    embedder = {"embedder": {"model": MINILM, "embedded": True}, "embedding_dimensions": None}
    stage = Stage(tmp_path, embedding_precision="int8", **embedder)
    stage.write("a", [NURSE, *(NURSE.replace(*edit) for edit in EDITS)])
    stage.make("persona_embeddings", "a")
    stage.write("a", [BAKER])
    stage.shards.pop()
    with pytest.raises(ValueError, match="materialize persona_embeddings of all shards again"):
        stage.make("semantic_duplicates")
