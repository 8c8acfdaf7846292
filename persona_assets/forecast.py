"""How many model calls a project makes at most, before any is made.

An upper bound from the limits in the settings; an asset whose limits are open has none.
"""

from persona_assets.assets.diversity import PANELS
from persona_assets.settings import Settings
from persona_assets.steps.math_data import SOLVERS
from persona_assets.steps.personas import HOPS


def most_calls(settings: Settings, tasks: list[str], shards: int) -> dict[str, int | None]:
    """Most completions by asset over all shards; None where a limit of the settings is open.

    Embeddings and a judge's verdicts are not counted.
    """
    texts = _times(settings.texts_per_shard, shards)
    most = {"text_personas": _times(texts, settings.perspectives_per_text)}
    for hop in range(1, HOPS + 1):
        most[f"hop_{hop}_personas"] = _times(settings.personas_per_hop, shards)
    for task in tasks:
        drawn = settings.task(task)
        most[task] = _times(_times(drawn.per_shard, shards), drawn.per_persona)
    problems = settings.task("math_problems")
    a_shard = _times(problems.per_shard, problems.per_persona)
    held_out = None if a_shard is None else round(settings.held_out_share * a_shard)
    tested = _times(held_out, shards)
    extra = _times(tested, len(SOLVERS) - 1)
    solved = most.get("math_problems")
    most["math_solutions"] = None if solved is None or extra is None else solved + extra
    sizes = len(settings.training_sizes)
    most["synthetic_accuracy"] = _times(tested, sizes)
    most["math_accuracy"] = _times(settings.benchmark_limit, sizes)
    pairs = settings.pairs_per_bucket * len(settings.pair_similarities)
    most["diversity_report"] = 2 * pairs * len(PANELS)
    return most


def _times(count: int | None, factor: int) -> int | None:
    return None if count is None else count * factor
