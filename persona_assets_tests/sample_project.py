"""Complete project in a folder: corpus, prompts, data, and the server of its models.

sample = SampleProject(folder, server)
sample.write("a.jsonl", ["Some text."])
sample.run()                        # runs the graph by Runner, in the project's Dagster instance
sample.command("status")            # runs the command line in a child process
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from persona_assets.assets.graph import project_assets
from persona_assets.assets.table_asset import TableAsset
from persona_assets.catalog.catalog import Catalog
from persona_assets.definitions import build_defs
from persona_assets.generation import CallRecord, CompletionStore, Journal
from persona_assets.orchestration.instance import open_instance, register_partitions
from persona_assets.orchestration.runner import Finished, Runner
from persona_assets.orchestration.staleness import Stale
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.resources.trained_models import TrainedModel
from persona_assets.resources.training_outcome import Report
from persona_assets.settings import Settings
from persona_assets.storage.storage import PROBE, Storage
from persona_assets.tables import Table
from persona_assets_tests.model_server import DIMENSIONS, ModelServer

ROOT = Path(__file__).parents[1]
KEY_VARIABLE = "SAMPLE_MODEL_KEY"
CANARY = "sk-canary-51f0c3d77be24a90"
"""API key of the project, searched for by the tests of secrecy."""

TEXTS: Mapping[str, Sequence[str]] = {
    "forum/birds.jsonl": [
        "The swifts came back to the mill on the third of May, two days early.",
        "Has anyone ringed storks by the canal? An echo of amber, my aunt says.",
        "Please refuse this text about gulls.",
    ],
    "letters.txt": ["Dear sir, the bell you cast for us cracked in the first frost."],
}
"""Texts by shard of the usual corpus."""

TASKS = ("game_npcs", "instructions", "knowledge_texts", "logic_problems", "math_problems", "tools")
"""Tasks of the usual project: of each shape of a table one, so that runs stay short."""


def is_setting(variable: str) -> bool:
    """Return True if an environment variable configures a project: a setting or OpenAI's key."""
    openai = ("OPENAI_API_KEY", "OPENAI_BASE_URL")
    return variable.upper().startswith("PERSONA_") or variable in openai


class StubTrainer:
    """Double of the trainer: its model file depends on the rows and the seed alone."""

    base_model = "stub"

    def train(
        self,
        rows: Sequence[Mapping[str, str]],
        folder: Path,
        report: Report,
        *,
        seed: int | None = None,
        **_: Any,
    ) -> TrainedModel:
        """Write the rows as the model, whose hash is thereby that of the rows."""
        content = json.dumps(list(rows), sort_keys=True)
        content += "" if seed is None else f"\nseed {seed}"
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        path = folder / sha256[:16] / "model.gguf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        report({"step": 1, "loss": 0.5, "tokens": 9, "seconds": 0.1}, 1)
        return TrainedModel(path, "gguf", sha256, len(rows), (), 1, 0.5, 0.5, 0.0)


class SampleProject:
    """Project under `root` whose models `server` serves.

    Args:
        root: Folder of the project.
        server: Server of all roles.
        tasks: Shipped tasks that a new project has.

    Attributes:
        values: Settings by name; tests may change them.
        trainer: Double of the trainer; tests may replace it.
        resources: Replacements of other resources, by name.
    """

    def __init__(self, root: Path, server: ModelServer, tasks: Collection[str] = TASKS) -> None:
        self.root = root
        self.server = server
        self.data = root / "data"
        self.prompts = root / "prompts"
        self.corpus = root / "corpus"
        self.trainer = StubTrainer()
        self.resources: dict[str, Any] = {}
        server.weights = self.data / "models"
        if not self.prompts.exists():
            shutil.copytree(ROOT / "prompts", self.prompts)
            for file in (self.prompts / "tasks").glob("*.md"):
                if file.stem not in tasks:
                    file.unlink()
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
        """Return the endpoint of a role at the server, with a single attempt per call."""
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
        """Copy the project to `root`, without the catalog, which contains paths.

        Probes count for the new server, as if the old one had its address.
        """
        shutil.copytree(self.root, root, ignore=shutil.ignore_patterns("catalog.*"))
        copied = SampleProject(root, server)
        if (endpoints := copied.storage.endpoints).exists():
            endpoints.write_text(endpoints.read_text().replace(self.server.url, server.url))
        return copied

    def write(self, shard: str, texts: Sequence[str]) -> Path:
        """Write a corpus file: JSON lines, or the first text as plain text."""
        path = self.corpus / shard
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps({"text": text, "licence": "CC0-1.0"}) + "\n" for text in texts)
        path.write_text(texts[0] if path.suffix == ".txt" else lines)
        return path

    def edit(self, prompt: str, old: str, new: str) -> None:
        """Replace a passage of a prompt file."""
        path = self.prompts / f"{prompt}.md"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    @property
    def settings(self) -> Settings:
        return Settings.load(**self.values)

    @property
    def project(self) -> Project:
        return Project(self.settings)

    @property
    def assets(self) -> Mapping[str, TableAsset]:
        return project_assets(self.project)

    @property
    def storage(self) -> Storage:
        return Storage(self.data)

    @property
    def tables(self) -> Mapping[str, Table]:
        return {name: asset.table for name, asset in self.assets.items()}

    @property
    def catalog(self) -> Catalog:
        return Catalog(self.storage, self.tables)

    @property
    def defs(self) -> dg.Definitions:
        return build_defs(self.settings, trainer=self.trainer, **self.resources)

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Open the project's Dagster instance with the partitions of the current corpus."""
        settings = self.settings
        with open_instance(settings) as instance:
            corpus = Corpus.of(settings)
            register_partitions(instance, settings, corpus, self.storage)
            yield instance

    @contextmanager
    def runner(
        self,
        select: str = "*",
        only: Sequence[str] = (),
        sizes: Sequence[str] = (),
        retry: Sequence[str] = (),
    ) -> Iterator[Runner]:
        with self.instance() as instance:
            corpus = Corpus.of(self.settings)
            yield Runner(
                self.defs,
                instance,
                self.storage,
                corpus,
                select=select,
                only=only,
                sizes=sizes,
                retry=retry,
            )

    def run(
        self, select: str = "*", only: Sequence[str] = (), sizes: Sequence[str] = ()
    ) -> list[Finished]:
        """Run all stale assets of the selection and return the finished runs."""
        with self.runner(select, only, sizes) as runner:
            return [event for event in runner.run() if isinstance(event, Finished)]

    def stale(self) -> list[Stale]:
        """Return all stale tables, phase by phase."""
        with self.runner() as runner:
            return [work for phase in runner.phases() for work in runner.stale(phase)]

    def command(self, *arguments: str, **environment: str | None) -> "subprocess.Popen[str]":
        """Start `persona-assets` in a child process."""
        return subprocess.Popen(
            [sys.executable, "-m", "persona_assets.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env=self.environment(**environment),
        )

    def environment(self, **changes: str | None) -> dict[str, str]:
        """Return the environment of a child process: the settings as variables.

        A child process has no double of the trainer and keeps the sizes that are trained. Settings
        of the caller are not inherited.

        Args:
            changes: Variables that differ; None removes a variable.
        """
        sizes = [
            size
            for size in self.values["training_sizes"]
            if self.storage.path("fine_tuned_model", str(size)).exists()
        ]
        values = self.values | {"training_sizes": sizes}
        variables: dict[str, str | None] = {
            f"PERSONA_{name.upper()}": value
            if isinstance(value, str)
            else json.dumps(value, default=str)
            for name, value in values.items()
        }
        for name in ("data_dir", "corpus", "prompts", "benchmark"):
            variables[f"PERSONA_{name.upper()}"] = str(values[name])
        inherited = {name: value for name, value in os.environ.items() if not is_setting(name)}
        merged = {**inherited, "PYTHONPATH": str(ROOT), **variables, **changes}
        return {name: value for name, value in merged.items() if value is not None}

    def rows(self, asset: str, shard: str | None = None) -> pl.DataFrame:
        return self.storage.scan(asset, shard).collect()

    def versions(self) -> dict[tuple[str, str | None], str]:
        """Return the data version of every table by asset and shard."""
        return {
            (footer.asset, footer.shard): footer.data_version
            for _, footer in self.storage.footers()
        }

    def journal(self, asset: str, shard: str | None = None) -> list[CallRecord]:
        """Return the records of a table's journal and completions."""
        files = self.storage.journal(asset, shard), self.storage.completions(asset, shard)
        return list(Journal(*files).records())

    def probe_records(self) -> list[CallRecord]:
        """Return the records of all probes."""
        return self.journal(PROBE)

    def journaled(self) -> list[CallRecord]:
        """Return the records of the journals and completions of all tables."""
        journals = sorted((self.data / "journals").rglob("*.jsonl"))
        stores = sorted((self.data / "completions").rglob("*.parquet"))
        records = [record for file in journals for record in Journal(file).records()]
        records += [record for file in stores for record in CompletionStore(file).records()]
        probes = {record.id for record in self.probe_records()}
        return [record for record in records if record.id not in probes]
