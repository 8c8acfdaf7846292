"""The semantic stage finds the same duplicates over HTTP, in fp32 and in int8, and none unread."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
NURSE_REWORDED = "A nurse, now retired, who teaches swimming to children"
BAKER = "A baker who repairs old ovens in Porto"
THAI = ["ครูวัยเกษียณที่ชอบปลูกกล้วยไม้", "ชาวประมงหนุ่มที่ซ่อมเครื่องยนต์เรือ", "แม่ค้าขายผลไม้ริมคลอง"]
GREEK = ["Ένας δάσκαλος που ψαρεύει τη νύχτα", "Μια ναύτης που γράφει ποιήματα"]
MONGOLIAN = "ᠪᠠᠭᠰᠢ"
EDITS = [
    ("A retired", "An old"),
    ("teaches", "instructs"),
    ("children", "kids"),
    ("to swim", "to dive"),
    ("A retired nurse who", "A retired doctor who"),
    ("swim", "swim in the sea"),
]
EDITED = [NURSE.replace(*edit) for edit in EDITS]
"""Texts near the threshold of NURSE."""


def reverse_words(text: str) -> str:
    return " ".join(reversed(text.split()))


class EmbeddingServer(FaultServer):
    """Server with a vector per set of words and the same vector for all Thai."""

    def reply(self, message: str, body: dict[str, Any]) -> str:
        return embeddings([self.vector(text).tolist() for text in body["input"]])

    def vector(self, text: str) -> np.ndarray:
        thai = "\u0e00" <= text[0] <= "\u0e7f"
        seed = int(content_id("Thai" if thai else " ".join(sorted(text.split()))), 16)
        return np.random.default_rng(seed).standard_normal(DIMENSIONS)

    @property
    def inputs(self) -> list[str]:
        """All texts of all requests."""
        return [text for body in self.bodies for text in body["input"]]

    @property
    def settings(self) -> dict[str, Any]:
        """Settings with this server as the embedder."""
        embedder = {
            "model": "m",
            "base_url": self.url,
            "api_key_env": KEY_VARIABLE,
            "price": {"input": 1, "output": 0},
        }
        return {"embedder": embedder, "embedding_dimensions": DIMENSIONS}


class SemanticStage:
    """Project of lexical survivors, and the assets from there to the hub."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = Settings.load(data_dir=folder, dedup_threads=2, **settings)
        self.storage = Storage(folder)
        self.shards: list[str] = []
        self.texts: dict[str, str] = {}

    def write(self, shard: str, texts: Sequence[str]) -> None:
        """Write a shard of lexical survivors."""
        self.texts |= {content_id(text): text for text in texts}
        rows = typed_frame(
            [{"persona_id": content_id(text), "persona": text} for text in texts], HUB
        )
        publish(self.storage, "lexical_survivors", shard, rows)
        self.shards.append(shard)

    def materialize(self, asset: str, shard: str | None = None) -> Mapping[str, Any]:
        """Materialize a table, whose checks must all pass, and return its metadata."""
        job = self._graph.get_subset(asset_selection={dg.AssetKey(asset)})
        with dg.DagsterInstance.ephemeral() as instance:
            instance.add_dynamic_partitions("shards", self.shards)
            result = job.execute_in_process(
                instance=instance,
                tags={} if shard is None else {"dagster/partition": shard},
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        checks = result.get_asset_check_evaluations()
        assert {check.check_name: check.passed for check in checks} == dict.fromkeys(
            (check.check_name for check in checks), True
        )
        [materialization] = result.asset_materializations_for_node(asset)
        return {name: value.value for name, value in materialization.metadata.items()}

    def embed(self) -> list[Mapping[str, Any]]:
        """Materialize the embeddings of all shards and return their metadata."""
        return [self.materialize("persona_embeddings", shard) for shard in self.shards]

    @cached_property
    def _graph(self) -> dg.JobDefinition:
        return build_defs(self.settings).resolve_implicit_global_asset_job_def()

    def duplicates(self) -> dict[str, str]:
        """Return the survivor's text by the duplicate's text."""
        rows = self.storage.scan("semantic_duplicates", None).collect()
        pairs = rows.select("persona_id", "survivor_id").iter_rows()
        return {self.texts[duplicate]: self.texts[survivor] for duplicate, survivor in pairs}

    def embeddings(self, shard: str) -> pl.DataFrame:
        return self.storage.scan("persona_embeddings", shard).collect()


@pytest.fixture(scope="module", autouse=True)
def _key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, "a key")
        yield


@pytest.fixture
def embedding_server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer() as server:
        yield server


@dataclass(frozen=True)
class Embedded:
    """Stage of embedded shards, its server, and the metadata of each shard."""

    stage: SemanticStage
    server: EmbeddingServer
    metadata: list[Mapping[str, Any]]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Three embedded shards with texts of read, unread and unprobed scripts; not to be changed."""
    with EmbeddingServer() as server:
        stage = SemanticStage(tmp_path_factory.mktemp("embedded"), **server.settings)
        stage.write("a.jsonl", [NURSE, THAI[0], GREEK[0], THAI[1]])
        stage.write("b.jsonl", [reverse_words(NURSE), THAI[2], reverse_words(GREEK[0]), MONGOLIAN])
        stage.write("c.jsonl", [BAKER])
        yield Embedded(stage, server, stage.embed())


def test_persona_embeddings_send_the_probes_of_the_scripts_in_the_call_of_the_personas(
    embedded: Embedded,
) -> None:
    inputs = embedded.server.inputs
    assert [metadata["calls"] for metadata in embedded.metadata] == [1, 1, 1]
    assert inputs.count(PROBES["Thai"][0]) == inputs.count(PROBES["Greek"][0]) == 2
    assert not set(inputs) & set(PROBES["Han"])
    assert embedded.server.bodies[-1]["input"] == [BAKER]


def test_persona_embeddings_cost_money_and_no_more_calls_than_the_bound(
    embedded: Embedded,
) -> None:
    assert all(metadata["cost_usd"] > 0 for metadata in embedded.metadata)
    bounds = call_bounds(Project(embedded.stage.settings), 3, texts=3)
    bound = bounds.calls("persona_embeddings")
    assert bound is not None
    assert sum(metadata["calls"] for metadata in embedded.metadata) <= bound


def test_persona_embeddings_report_unread_and_unprobed_texts(embedded: Embedded) -> None:
    names = ("unread_texts", "unread_scripts", "unprobed_texts")
    assert [tuple(metadata[name] for name in names) for metadata in embedded.metadata] == [
        (2, "Thai 2", 0),
        (1, "Thai 1", 1),
        (0, "none", 0),
    ]


def test_semantic_duplicates_leave_out_texts_that_the_endpoint_cannot_read(
    embedded: Embedded,
) -> None:
    metadata = embedded.stage.materialize("semantic_duplicates")
    assert embedded.stage.duplicates() == {
        reverse_words(NURSE): NURSE,
        reverse_words(GREEK[0]): GREEK[0],
    }
    assert (metadata["unread_texts"], metadata["unread_scripts"]) == (3, "Thai 3")
    assert metadata["unprobed_texts"] == 1
    assert "pairs_checked_anew" not in metadata


def test_persona_embeddings_replay_cached_responses_without_a_call(embedded: Embedded) -> None:
    stage, server = embedded.stage, embedded.server
    billed, rows = server.billed.total(), stage.embeddings("a.jsonl")
    assert stage.materialize("persona_embeddings", "a.jsonl")["replayed"] == 1
    assert stage.embeddings("a.jsonl").equals(rows)
    assert server.billed.total() == billed


def test_persona_embeddings_of_a_text_are_the_same_in_any_shard(
    embedding_server: EmbeddingServer, tmp_path: Path
) -> None:
    texts = [NURSE, *THAI, *GREEK, MONGOLIAN, BAKER]
    whole = SemanticStage(tmp_path / "whole", **embedding_server.settings)
    split = SemanticStage(tmp_path / "split", **embedding_server.settings)
    whole.write("a.jsonl", texts)
    for start, end in ((0, 2), (2, 5), (5, 8)):
        split.write(f"{start}.jsonl", texts[start:end])
    for stage in (whole, split):
        stage.embed()
    rows = pl.concat([split.embeddings(shard) for shard in split.shards])
    assert whole.embeddings("a.jsonl").equals(rows)


def test_semantic_duplicates_read_more_texts_at_a_higher_threshold_without_calls(
    embedding_server: EmbeddingServer, tmp_path: Path
) -> None:
    angles = {text: 0.2 * place for place, text in enumerate([*PROBES["Greek"], GREEK[0]])}
    angles[GREEK[1]] = angles[GREEK[0]] + 0.1
    embedding_server.vector = lambda text: np.array([np.cos(angles[text]), np.sin(angles[text])])  # type: ignore[method-assign]
    stage = SemanticStage(tmp_path, **embedding_server.settings)
    stage.write("a.jsonl", GREEK)
    stage.embed()
    billed = embedding_server.billed.total()
    # Two probes have a cosine of 0.980, the two texts a cosine of 0.995.
    for threshold, unread, duplicates in ((0.9, 2, {}), (0.99, 0, {GREEK[1]: GREEK[0]})):
        changed = SemanticStage(tmp_path, semantic_threshold=threshold, **embedding_server.settings)
        changed.shards, changed.texts = stage.shards, stage.texts
        assert changed.materialize("semantic_duplicates")["unread_texts"] == unread
        assert changed.duplicates() == duplicates
    assert embedding_server.billed.total() == billed


MINILM_SETTINGS = {
    "embedder": {"model": MINILM, "embedded": True},
    "embedding_dimensions": None,
}


@dataclass(frozen=True)
class Compared:
    """Stage of a precision after the search for duplicates, and the metadata of the search."""

    stage: SemanticStage
    metadata: Mapping[str, Any]


@pytest.fixture(scope="module")
def precisions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Compared]:
    """The same two shards in both precisions."""
    compared: dict[str, Compared] = {}
    for precision in ("fp32", "int8"):
        folder = tmp_path_factory.mktemp(precision)
        stage = SemanticStage(folder, embedding_precision=precision, **MINILM_SETTINGS)
        stage.write("a", [NURSE, BAKER, *THAI, *EDITED[:3]])
        stage.write("b", [NURSE_REWORDED, *EDITED[3:]])
        stage.embed()
        compared[precision] = Compared(stage, stage.materialize("semantic_duplicates"))
    return compared


def test_int8_finds_the_duplicates_that_fp32_finds(precisions: Mapping[str, Compared]) -> None:
    duplicates = precisions["fp32"].stage.duplicates()
    assert NURSE_REWORDED in duplicates
    assert precisions["int8"].stage.duplicates() == duplicates


def test_int8_differs_from_fp32_by_less_than_the_margin(
    precisions: Mapping[str, Compared],
) -> None:
    int8, fp32 = (
        to_matrix(precisions[precision].stage.embeddings("a")["vector"])
        for precision in ("int8", "fp32")
    )
    errors = np.abs((int8 * fp32).sum(axis=1) - 1)
    assert 1e-4 < errors[0] < int8_margin(0.9)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_embedded_model_reports_the_texts_that_it_cannot_read(
    precisions: Mapping[str, Compared], precision: str
) -> None:
    assert precisions[precision].metadata["unread_texts"] == len(THAI)


def test_int8_checks_the_pairs_near_the_threshold_in_fp32(
    precisions: Mapping[str, Compared],
) -> None:
    metadata = precisions["int8"].metadata
    assert metadata["pairs_checked_anew"] > metadata["pairs_fallen"] > 0
    assert metadata["texts_embedded_anew"] > 0


def test_int8_keeps_the_fp32_vectors_of_checked_pairs_for_the_next_search(
    precisions: Mapping[str, Compared],
) -> None:
    metadata = precisions["int8"].stage.materialize("semantic_duplicates")
    assert metadata["texts_embedded_anew"] == 0


def test_int8_names_the_remedy_if_the_text_of_a_vector_is_missing(tmp_path: Path) -> None:
    stage = SemanticStage(tmp_path, embedding_precision="int8", **MINILM_SETTINGS)
    stage.write("a", [NURSE, *EDITED])
    stage.materialize("persona_embeddings", "a")
    stage.write("a", [BAKER])
    stage.shards.pop()
    with pytest.raises(ValueError, match="materialize persona_embeddings of all shards again"):
        stage.materialize("semantic_duplicates")
