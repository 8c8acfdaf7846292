"""A whole project in a folder: corpus, prompts, data, and the models' server.

sample = SampleProject(folder, server)
sample.write("a.jsonl", ["Some text."])
sample.run()                        # the graph by Runner, in the project's Dagster instance
sample.command("status")            # the command line, in a process of its own
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from persona_assets.assets.graph import table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.definitions import build_defs
from persona_assets.generation import CallRecord, CompletionStore, Journal
from persona_assets.orchestration.instance import open_instance, register_partitions
from persona_assets.orchestration.runner import Finished, Runner
from persona_assets.orchestration.staleness import Stale
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.trainer import Report, TrainedModel
from persona_assets.settings import Settings
from persona_assets.storage.storage import Storage
from persona_assets.tables import Table
from persona_assets_tests.model_server import DIMENSIONS, ModelServer

ROOT = Path(__file__).parents[1]
KEY_VARIABLE = "SAMPLE_MODEL_KEY"
CANARY = "sk-canary-51f0c3d77be24a90"

TEXTS: Mapping[str, Sequence[str]] = {
    "forum/birds.jsonl": [
        "The swifts came back to the mill on the third of May, two days early.",
        "Has anyone ringed storks by the canal? An echo of amber, my aunt says.",
        "Please refuse this text about gulls.",
    ],
    "letters.txt": ["Dear sir, the bell you cast for us cracked in the first frost."],
}


class StubTrainer:
    """Stands in for the trainer: writes a file that depends on the rows alone."""

    base_model = "stub"

    def train(
        self, rows: Sequence[Mapping[str, str]], out_dir: Path, report: Report
    ) -> TrainedModel:
        """A model whose weights are the hash of the rows."""
        out_dir.mkdir(parents=True, exist_ok=True)
        path = out_dir / "model.gguf"
        path.write_text(json.dumps(list(rows), sort_keys=True))
        report(1, 1, 0.5)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return TrainedModel(path, "gguf", sha256, len(rows), (), 1, 0.5, 0.5, 0.0)


class SampleProject:
    """A project under `root`, asking `server`. `values` are its settings and may be changed."""

    def __init__(self, root: Path, server: ModelServer) -> None:
        self.root = root
        self.server = server
        self.data = root / "data"
        self.prompts = root / "prompts"
        self.corpus = root / "corpus"
        self.trainer = StubTrainer()
        if not self.prompts.exists():
            shutil.copytree(ROOT / "prompts", self.prompts)
            self.corpus.mkdir(parents=True)
        self.values: dict[str, Any] = {
            "profile": "paper",
            "data_dir": self.data,
            "corpus": self.corpus,
            "prompts": self.prompts,
            "benchmark": ROOT / "data" / "benchmarks" / "sample.jsonl",
            "perspectives": ["reads"],
            "relations_per_persona": 2,
            "personas_per_hop": 1,
            "embedder": self.endpoint("embedder"),
            "embedding_dimensions": DIMENSIONS,
            **{role: self.endpoint(role) for role in ("writer", "solver", "second_solver")},
            "judge": self.endpoint("judge"),
            "evaluation": self.endpoint("tuned"),
            "max_quarantine_share": 0.5,
            "prompting": {"math_solution": {"mode": "few-shot", "shots": 1}},
            "tasks": {
                "math_problems": {"mode": "persona-few-shot", "shots": 2, "per_shard": 4},
                "instructions": {"share": 0.5},
                "tools": {"per_shard": 1, "per_persona": 2},
            },
            "held_out_share": 0.5,
            "training_sizes": [1, 3],
            "benchmark_limit": 3,
            "pair_similarities": [0.0, 0.3],
            "pair_tolerance": 0.1,
            "pairs_per_bucket": 2,
        }

    def endpoint(self, model: str) -> dict[str, Any]:
        """The server as a role's endpoint; a failing call gives up soon."""
        return {
            "model": model,
            "base_url": self.server.url,
            "api_key_env": KEY_VARIABLE,
            "structured_output": "json_schema",
            "concurrency": 4,
            "max_attempts": 1,
            "timeout": 30,
        }

    def copy(self, root: Path, server: ModelServer) -> "SampleProject":
        """The same project elsewhere, with its own server. The catalog, which has paths, stays."""
        shutil.copytree(self.root, root, ignore=shutil.ignore_patterns("catalog.*"))
        return SampleProject(root, server)

    def write(self, shard: str, texts: Sequence[str]) -> Path:
        """A corpus file: JSON lines, or the first text as plain text."""
        path = self.corpus / shard
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps({"text": text, "licence": "CC0-1.0"}) + "\n" for text in texts)
        path.write_text(texts[0] if path.suffix == ".txt" else lines)
        return path

    def edit(self, prompt: str, old: str, new: str) -> None:
        """Changes the wording of a prompt file."""
        path = self.prompts / f"{prompt}.md"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    @property
    def settings(self) -> Settings:
        return Settings.load(**self.values)

    @property
    def storage(self) -> Storage:
        return Storage(self.data)

    @property
    def tables(self) -> Mapping[str, Table]:
        return table_contracts(Project(self.settings).prompts)

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.storage, self.tables)

    @property
    def defs(self) -> dg.Definitions:
        return build_defs(self.settings, trainer=self.trainer)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """The project's Dagster instance, with its partitions as the corpus has them now."""
        settings = self.settings
        with open_instance(settings) as instance:
            corpus = Corpus(settings.corpus, settings.corpus_fields)
            register_partitions(instance, settings, corpus, self.storage)
            yield instance

    @contextmanager
    def runner(self, select: str = "*", only: Sequence[str] = ()) -> Iterator[Runner]:
        with self.instance() as instance:
            corpus = Corpus(self.corpus)
            yield Runner(self.defs, instance, self.storage, corpus, select=select, only=only)

    def run(self, select: str = "*", only: Sequence[str] = ()) -> list[Finished]:
        """Runs what is stale."""
        with self.runner(select, only) as runner:
            return [event for event in runner.run() if isinstance(event, Finished)]

    def stale(self) -> list[Stale]:
        """What is stale now, over all phases."""
        with self.runner() as runner:
            return [work for phase in runner.phases() for work in runner.stale(phase)]

    def command(self, *arguments: str, **environment: str | None) -> "subprocess.Popen[str]":
        """`persona-assets` started in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "persona_assets.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env=self.environment(**environment),
        )

    def environment(self, **changes: str | None) -> dict[str, str]:
        """The settings as environment variables; no training, which has no stand-in there."""
        given = self.values | {"training_sizes": []}
        variables: dict[str, str | None] = {
            f"PERSONA_{name.upper()}": value
            if isinstance(value, str)
            else json.dumps(value, default=str)
            for name, value in given.items()
        }
        for name in ("data_dir", "corpus", "prompts", "benchmark"):
            variables[f"PERSONA_{name.upper()}"] = str(given[name])
        merged = {**os.environ, "PYTHONPATH": str(ROOT), **variables, **changes}
        return {name: value for name, value in merged.items() if value is not None}

    def rows(self, asset: str, shard: str | None = None) -> pl.DataFrame:
        return self.storage.scan(asset, shard).collect()

    def versions(self) -> dict[tuple[str, str | None], str]:
        """The data version of every table."""
        return {(f.asset, f.shard): f.data_version for _, f in self.storage.footers()}

    def journal(self, asset: str, shard: str | None = None) -> list[CallRecord]:
        """What was answered for a table, compacted or not."""
        files = self.storage.journal(asset, shard), self.storage.completions(asset, shard)
        return list(Journal(*files).records())

    def journaled(self) -> list[CallRecord]:
        """All records of all journals and completions."""
        live = sorted((self.data / "journals").rglob("*.jsonl"))
        landed = sorted((self.data / "completions").rglob("*.parquet"))
        records = [record for file in live for record in Journal(file).records()]
        return records + [record for file in landed for record in CompletionStore(file).records()]
