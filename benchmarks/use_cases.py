"""Every shipped task in every mode, with its variants, from texts to judged samples.

    python benchmarks/use_cases.py --personas 40

Makes the tasks of a new project, once per mode, with the scripted server of the tests, one in ten
of whose answers is bad. Prints a JSON object per task or variant and mode.

Figures:
    task: Task, or variant `task@variant`.
    mode: Mode of the prompt (section 3).
    asked: Samples asked for.
    published: Samples that rules, duplicates and the judge leave.
    dropped: Dropped samples by reason.
    repaired: Published samples by what was taken off.
    calls: Paid calls, those of the judge included.
    usd_per_row: Their price for each published sample, at 2.50 US dollars per million tokens read
        and 10 per million written.
    trace: Tables from a published sample back to its text; null if nothing was published.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

from figures import print_figures

from persona_assets.asset_names import asset_key
from persona_assets_tests.sample_project import CANARY, KEY_VARIABLE, ROOT, SampleProject
from persona_assets_tests.strong_model import StrongModel

MODES: dict[str, dict[str, Any]] = {
    "zero-shot": {},
    "few-shot": {"mode": "few-shot", "shots": 2},
    "persona-few-shot": {"mode": "persona-few-shot", "shots": 2},
}
PRICE = {"input": "2.50", "output": "10"}
SHARD = "letters.jsonl"
TEXTS = (
    "The swifts came back to the mill on the third of May, two days early.",
    "Has anyone ringed storks by the canal? My aunt says the rings rust within a year.",
    "Dear sir, the bell you cast for us cracked in the first frost.",
    "A tide gauge on pier four stopped at noon, and the ferry left without its pilot.",
    "Rye needs a longer rise than wheat when the kitchen is cold.",
    "The choir wants to sing in the quarry, but who insures an audience of two hundred?",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--personas", type=int, default=40, help="personas per task")
    parser.add_argument(
        "--tasks", nargs="*", help="tasks, with those they are made from; default all"
    )
    parser.add_argument("--modes", nargs="*", choices=MODES, default=list(MODES))
    options = parser.parse_args()
    os.environ.setdefault(KEY_VARIABLE, CANARY)
    for mode in options.modes:
        with tempfile.TemporaryDirectory() as folder, StrongModel(bad=0.1) as server:
            tasks = options.tasks or [path.stem for path in (ROOT / "prompts/tasks").glob("*.md")]
            sample = project(Path(folder) / "project", server, mode, options.personas, tasks)
            chosen = sample.project.prompts.tasks
            names = [name for name in chosen if name.partition("@")[0] in tasks]
            reports = (asset_key(f"report_{name}").to_user_string() for name in names)
            failed = [
                run.error
                for run in sample.run(" or ".join(f'+key:"{report}"' for report in reports))
                if run.error
            ]
            if failed:
                raise SystemExit(failed[0])
            for name in names:
                print_figures({"task": name, "mode": mode, **figures(sample, name)}, digits=6)


def project(
    root: Path, server: StrongModel, mode: str, personas: int, tasks: list[str]
) -> SampleProject:
    """Build a project with shipped tasks in a mode, judged where they have a rubric."""
    # The graph of every project solves math problems.
    sample = SampleProject(root, server, [*tasks, "math_problems"])
    sample.write(SHARD, TEXTS)
    sample.values["tasks"] = {}
    prompts = sample.project.prompts
    variants = [
        f"{name}@{variant}"
        for name, prompt in prompts.tasks.items()
        for variant in prompt.head.variants
    ]
    roles = ("writer", "solver", "second_solver", "judge", "embedder", "evaluation")
    sample.values |= {
        **{role: {**sample.values[role], "price": PRICE} for role in roles},
        "relations_per_persona": 3,
        "personas_per_hop": personas,
        "training_sizes": [],
        "tasks": {
            name: {
                **MODES[mode],
                **({} if prompts.rubric(name) is None else {"judge": 1.0}),
                "per_shard": personas,
            }
            for name in [*prompts.tasks, *variants]
        },
    }
    return sample


def figures(sample: SampleProject, name: str) -> dict[str, Any]:
    """Read the figures of a task from its report and the catalog."""
    report = list(sample.rows(f"report_{name}").iter_rows(named=True))
    [passed] = [row for row in report if row["measure"] == "pass_rate"]
    counts = {
        measure: {
            row["value"]: row["n"]
            for row in report
            if row["measure"] == measure and row["value"] and row["n"]
        }
        for measure in ("dropped", "repaired")
    }
    [paid] = [row for row in report if row["measure"] == "price"]
    return {
        "asked": passed["of"],
        "published": passed["n"],
        **counts,
        "calls": paid["n"],
        "usd_per_row": paid["usd"],
        "trace": trace(sample, name),
    }


def trace(sample: SampleProject, name: str) -> list[str] | None:
    """Return the tables on the way from a published sample back to its texts."""
    judged = f"judged_{name}"
    last = judged if judged in sample.assets else f"unique_{name}"
    ids = sample.rows(last, SHARD)["sample_id"]
    if ids.is_empty():
        return None
    chain = sample.catalog.query("SELECT asset FROM trace(?) ORDER BY step", [ids[0]])
    return list(chain["asset"].unique(maintain_order=True))


if __name__ == "__main__":
    main()
