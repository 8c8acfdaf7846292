from pathlib import Path

from persona_assets.forecast import most_calls
from persona_assets.profiles import DEMO_CALLS
from persona_assets.prompts import Prompts
from persona_assets.resources.corpus import Corpus
from persona_assets.settings import Settings

ROOT = Path(__file__).parents[1]
TASKS = list(Prompts(ROOT / "prompts").tasks)


def test_the_demo_stays_below_its_declared_calls() -> None:
    shards = len(Corpus(ROOT / "data" / "corpus").shards())
    most = most_calls(Settings.load(profile="demo"), TASKS, shards)
    assert None not in most.values()
    assert sum(calls for calls in most.values() if calls is not None) <= DEMO_CALLS


def test_an_open_limit_has_no_bound() -> None:
    most = most_calls(Settings.load(profile="paper"), TASKS, shards=3)
    assert most["text_personas"] is None
    assert most["math_solutions"] is None
    assert most["diversity_report"] == 2 * 3 * 100 * 2


def test_more_shards_cost_more() -> None:
    demo = Settings.load(profile="demo")
    one, two = most_calls(demo, TASKS, 1), most_calls(demo, TASKS, 2)
    assert one["text_personas"] == 8
    assert two["text_personas"] == 16
    assert one["math_accuracy"] == two["math_accuracy"] == 12
