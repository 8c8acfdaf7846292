"""Every benchmark runs on a machine without caches and prints the figures that it documents."""

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
HELPERS = {
    "chaos_services.py",
    "lineage_project.py",
    "contamination_data.py",
    "contamination_rewrites.py",
    "cosine_data.py",
    "dedup_data.py",
    "explore_data.py",
    "figures.py",
    "generation_server.py",
    "rules_data.py",
}
"""Files in the folder that are no benchmarks."""
LONG = {"chaos.py"}
"""Benchmarks that take minutes, whose parts are tested in a file of their own."""


@dataclass(frozen=True)
class Smoke:
    """A command that runs a benchmark in seconds; {here} stands for the folder of its files.

    lines: Figure names of each kind of line, in the order in which the kinds first appear.
    """

    command: str
    lines: tuple[str, ...]


ENGINE = (
    "engine rows threads cpu_s wall_s rss_mb rss_text_mb version note rows_per_cpu_s "
    "cpu_us_per_row bytes_per_row measure pairs recall precision"
)
SMOKES = (
    Smoke(
        "rules.py --rows 100 --mutations",
        ("rows rules_us protection_us other_us ratio rejected different",),
    ),
    Smoke(
        "copies.py --answers 10",
        ("task shots answers chars us other_us ratio different",),
    ),
    Smoke(
        "use_cases.py --personas 3 --modes few-shot --tasks tools",
        ("task mode asked published dropped repaired calls usd_per_row trace",),
    ),
    Smoke(
        "protection.py --count 5",
        ("kind planted found other recall us", "negative texts alarms us"),
    ),
    Smoke(
        "contamination.py --plants 20 --texts 50",
        (
            "plant planted found named but_for_numbers reworded",
            "innocent searched alarms equal equal_numbers",
            "texts against index_cpu_s cpu_s us_per_text",
        ),
    ),
    Smoke("programs.py --runs 1", ("sandbox program runs start_cpu_s cpu_ms ms stopped_ms",)),
    Smoke(
        "contamination_meaning.py --invented 30 --plants 9 --vectors 500",
        (
            "half cosine evidence paraphrases found_by_words found problems others_by_words others",
            "plant cosine planted found_by_words found",
            "judged searched most judge_from asked_about questions reached",
            "innocent searched alarms_by_words alarms",
            "judged searched most judge_from asked_about questions",
            "embedded embedding_cpu_s embedding_us_per_text",
            "vectors against neighbours search_cpu_s",
            "looks look_us",
        ),
    ),
    Smoke(
        "explore.py --rows 60 --shard-rows 30 --base 20 --requests 2",
        (
            "rows shards start_s start_cpu_s rss_mb",
            "request asked p50_ms p95_ms cpu_ms kb",
        ),
    ),
    Smoke("startup.py --runs 1", ("definitions_ms dagster_ms ratio",)),
    Smoke(
        "catalog.py --shards 3",
        ("tables file_mb rebuild_cpu_s add_cpu_s add_made_from_all_cpu_s",),
    ),
    Smoke(
        "lineage.py --shards 2 --personas 8 --samples 2 --calls 1",
        ("tables entries rebuild_cpu_s index_mb add_cpu_ms", "call p50_ms p95_ms"),
    ),
    Smoke(
        "journal.py --records 300 --keys 2000",
        ("what records cpu_s mb", "what bytes", "what keys bytes_a_key add_us look_up_us"),
    ),
    Smoke(
        "reuse.py --files 3 --keys 50 --calls 40 --shuffled 5",
        (
            "what files keys cpu_s us mb index_mb",
            "what keys cpu_s us mb",
            "what calls cpu_ms_per_call search_cpu_s share",
        ),
    ),
    Smoke("batch.py --scale 0.001", ("case requests bytes files cpu_s spooled_mb rss_mb",)),
    Smoke(
        "generation.py --latency-ms 5 --concurrency 8 --requests 40",
        (
            "client concurrency rps cpu_ms_per_request efficiency rss_mb requests billed version",
            "client 8",
        ),
    ),
    Smoke(
        "generation.py quota --seconds 1.5 --warm-up 0.5",
        ("mode headers quota_per_s goodput share_429 violations requests",),
    ),
    Smoke(
        "generation.py stream --rows 100",
        (
            "mode rows rss_mb journal_mb rps",
            "mode rows billed seconds seconds_per_100k rss_mb",
        ),
    ),
    Smoke(
        "generation.py kills --requests 200 --concurrency 8 --kills 2",
        ("mode kills rows completed keys_once paid_twice allowed asked_again",),
    ),
    Smoke(
        "generation.py faults --requests 200",
        ("mode rows ok quarantined unaccounted outcomes met billed longest_call_s deadline_s",),
    ),
    Smoke(
        "dedup.py --rows 2000 --engines exact,minhash,tokenize --repeat 1",
        ("data bytes_per_row", ENGINE, "exact_over"),
    ),
    Smoke(
        "cosine.py --rows 6000 --dimensions 64 --sample 200 --repeat 1 "
        "--engines cosine brute cosine-add",
        ("engine rows cpu_s wall_s rss_mb rows_per_cpu_s recall true pairs", "over"),
    ),
    # Fewer rows than PaCMAP needs, whose compilation takes a quarter of a minute.
    Smoke(
        "persona_map.py --rows 6000 --landmarks 30 --dimensions 64 --sample 20",
        (
            "rows landmarks clusters fit_cpu_s place_cpu_s place_cpu_s_per_100k near50 "
            "near50_cluster rss_mb",
        ),
    ),
    Smoke(
        "pairs.py --rows 6000 --dimensions 32 --check 500 --similarities 0.1 0.8",
        (
            "rows cpu_s wall_s rss_mb",
            "bucket sampled drawn",
            "checked bucket found true missing wrong cpu_s brute_cpu_s",
        ),
    ),
    Smoke(
        "embedding.py --rows 8 --rounds 1",
        ("engine rows unreadable cpu_s wall_s texts_per_cpu_s min_cosine",),
    ),
    Smoke(
        "shards.py --shards 2 --rows 200",
        (
            "run load_cpu_s join_cpu_s step_cpu_s step_wall_s rss_mb rss_before_mb duplicates "
            "shards join_share",
        ),
    ),
    Smoke(
        "answers.py --pairs 1 --only ratio --kinds",
        (
            "golds rewritings perturbations rewriting_pairs perturbation_pairs read_back",
            "grader version false_negatives false_positives undecided asymmetric wall_s",
            "kind change pairs failed gold answer",
        ),
    ),
    Smoke(
        "answers.py --answers {here}/answers.jsonl --problems {here}/problems.json "
        "--labels {here}/labels.jsonl --disagreements /dev/null",
        (
            "answers pairs",
            "grader version accepted undecided wall_s labelled unsure wrong wrong_accepted "
            "wrong_rejected",
            "disagreements",
        ),
    ),
)


@pytest.mark.parametrize("smoke", SMOKES, ids=lambda smoke: " ".join(smoke.command.split()[:2]))
def test_benchmark_prints_documented_figures_without_caches(smoke: Smoke, tmp_path: Path) -> None:
    script, *options = smoke.command.replace(
        "{here}", str(Path(__file__).parent / "answers")
    ).split()
    # Compiled kernels lie beside their source, for all tests: compiling takes a minute.
    process = subprocess.run(
        [sys.executable, str(BENCHMARKS / script), *options],
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "HOME": str(tmp_path),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert process.returncode == 0, process.stderr
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    assert all(isinstance(line, dict) for line in lines)
    kinds = dict.fromkeys(frozenset(line) for line in lines)
    assert [set(kind) for kind in kinds] == [set(names.split()) for names in smoke.lines]
    # The last line of generation.py has a member per concurrency.
    names = {name for line in lines for name in line if not name.isdigit()}
    assert names <= documented_figures(BENCHMARKS / script)


def test_every_benchmark_has_a_smoke_run() -> None:
    scripts = {path.name for path in BENCHMARKS.glob("*.py")}
    assert {smoke.command.split()[0] for smoke in SMOKES} == scripts - HELPERS - LONG


def documented_figures(script: Path) -> set[str]:
    """Return the names in the sections "Figures:" of a benchmark's docstrings."""
    module = ast.parse(script.read_text(encoding="utf-8"))
    documented = (
        node for node in ast.walk(module) if isinstance(node, ast.Module | ast.FunctionDef)
    )
    docstrings = [ast.get_docstring(node) or "" for node in documented]
    sections = [text.partition("\nFigures:\n")[2].partition("\n\n")[0] for text in docstrings]
    lists = re.findall(r"^    (\w+(?:, \w+)*): ", "\n".join(sections), re.MULTILINE)
    return {name for names in lists for name in names.split(", ")}
