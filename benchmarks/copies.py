"""Time of the search for copies of demonstrations in answers, beside that of another version.

    python benchmarks/copies.py --other CHECKOUT

CHECKOUT is a folder with another version of this package, whose search runs in a process of its
own.

Figures:
    task: task, whose shipped demonstrations are shown
    shots: number of demonstrations
    answers: number of answers, none of them a copy
    chars: mean length of an answer, in characters
    us: processor time per answer, in microseconds
    other_us: the same for the other version
    ratio: other_us over us
    different: answers on which the two versions differ
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from figures import print_figures

ROOT = Path(__file__).parents[1]
CASES = (
    ("math_problems", 260),
    ("instructions", 800),
    ("knowledge_texts", 800),
    ("knowledge_texts", 5_000),
    ("tools", 700),
)
"""Task, and characters of an answer."""

OTHER = f"""
import json, sys
sys.path.append({str(Path(__file__).parent)!r})
from copies import measure
json.dump(measure(**json.load(sys.stdin)), sys.stdout)
"""


def main() -> None:
    """Print a line per task and number of demonstrations."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=400)
    parser.add_argument("--other", type=Path, help="folder with another version of the package")
    options = parser.parse_args()
    for task, length in CASES:
        for shots in (0, 8):
            case = {
                "task": task,
                "shots": shots,
                "answers": _answers(task, length, options.answers),
            }
            print_figures(_figures(case, options.other))


def _figures(case: Mapping[str, Any], other: Path | None) -> dict[str, Any]:
    theirs = _other(case, other) if other else None
    ours = measure(**case)
    answers = case["answers"]
    chars = sum(len(str(value)) for answer in answers for value in answer.values())
    return {
        "task": case["task"],
        "shots": case["shots"],
        "answers": len(answers),
        "chars": chars / len(answers),
        "us": ours["us"],
        "other_us": theirs["us"] if theirs else None,
        "ratio": theirs["us"] / ours["us"] if theirs else None,
        "different": sum(a != b for a, b in zip(ours["copies"], theirs["copies"], strict=True))
        if theirs
        else None,
    }


def measure(task: str, shots: int, answers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return time per answer and verdicts of the installed version, with its own prompts."""
    import persona_assets
    from persona_assets.settings import Prompting

    # Earlier versions have the class elsewhere.
    package = "persona_assets.prompting"
    if find_spec(package) is None:
        place = "persona_assets.prompts"
    else:
        folder = f"{package}.prompt_folder"
        place = folder if find_spec(folder) else f"{package}.prompts"
    module: Any = import_module(place)
    prompt = module.Prompts(Path(persona_assets.__file__).parents[1] / "prompts")[task]
    mode: Any = "persona-few-shot" if shots else "zero-shot"
    bound = prompt.bind(Prompting(mode=mode, shots=shots), "a.jsonl")
    is_copy = getattr(bound, "copies_demonstration", None) or bound.copied
    for answer in answers[:20]:
        is_copy(answer)
    start = time.process_time()
    copies = [is_copy(answer) for answer in answers]
    return {"us": (time.process_time() - start) / len(answers) * 1e6, "copies": copies}


def _answers(task: str, length: int, count: int) -> list[dict[str, Any]]:
    """Return answers of the words of demonstrations and as many of other words."""
    from persona_assets.prompting.prompt_folder import Prompts

    prompt = Prompts(ROOT / "prompts")[task]
    output = [*prompt.head.output]
    chance = random.Random("answers")
    own = " ".join(str(shot[name]) for shot in prompt.pool for name in output).split()
    words = [*own, *("".join(chance.choices("aeioklmnrstu", k=7)) for _ in own)]
    return [
        {name: " ".join(chance.choices(words, k=length // 6 // len(output))) for name in output}
        for _ in range(count)
    ]


def _other(case: Mapping[str, Any], checkout: Path) -> dict[str, Any]:
    process = subprocess.run(
        [sys.executable, "-c", OTHER],
        input=json.dumps(case),
        capture_output=True,
        text=True,
        check=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
    )
    measured: dict[str, Any] = json.loads(process.stdout)
    return measured


if __name__ == "__main__":
    main()
