"""Tables with too many dropped rows: no paid step reads them.

A shard's table counts if a model made it and its share of rejected rows is above the setting
`max_rejected_share`, with a confidence of 95 %. Rows that another row makes redundant are not
rejected. The same rule decides the blocking check of the table and the refusal of a session
downstream, in a later run or on another day.
"""

from collections.abc import Iterable

from persona_assets.steps.grading import Accuracy, accuracy
from persona_assets.steps.judging import JUDGED_ROWS
from persona_assets.steps.math_solutions import AGREEING, OUTVOTED
from persona_assets.storage.footer import Footer
from persona_assets.storage.storage import Storage

REDUNDANT = frozenset({"repeat", "over_limit", f"assistant_{AGREEING}", f"assistant_{OUTVOTED}"})
"""Reasons of dropped rows that are no verdict on them."""


class TooManyRejectedError(RuntimeError):
    """A paid step would read what is left of a table with too many dropped rows."""


def rejected_share(footer: Footer) -> Accuracy:
    """Return the share of rows that a table rejected, with its interval."""
    rejected = sum(_rejected(footer).values())
    # A judge may have seen a part of the rows.
    examined = footer.decisions.get(JUDGED_ROWS, rejected + footer.rows)
    return accuracy(rejected, round(examined))


def has_too_many_rejected(footer: Footer, most: float) -> bool:
    """Return True if a model's table of a shard has rows left and rejected more than `most`."""
    low = rejected_share(footer).low
    counts = footer.prompt_versions and footer.rows and footer.shard is not None
    return bool(counts) and low is not None and low > most


def check_inputs(storage: Storage, most: float, inputs: Iterable[str], shard: str | None) -> None:
    """Raise an error if a table that leads to a shard's inputs has too many dropped rows.

    Args:
        storage: Tables of the project.
        most: Setting `max_rejected_share`.
        inputs: Names of the assets that are read.
        shard: Shard; None for an asset without shards, which is not held up by one of them.

    Raises:
        TooManyRejectedError: The message names the table, its reasons and the remedies.
    """
    waiting, seen = [] if shard is None else list(inputs), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        footer = storage.footer(name, shard)
        if footer is None:
            continue
        if has_too_many_rejected(footer, most):
            reasons = sorted(_rejected(footer).items(), key=lambda item: (-item[1], item[0]))
            counts = ", ".join(f"{reason} {count}" for reason, count in reasons)
            raise TooManyRejectedError(
                f"{name} of {shard} dropped {rejected_share(footer)} of its rows ({counts}), more "
                "than PERSONA_MAX_REJECTED_SHARE allows, so nothing more is bought for them: "
                "mend the prompt or its rubric, choose another model, or raise that setting"
            )
        waiting += [up.asset for up in footer.upstream if up.shard == shard]


def _rejected(footer: Footer) -> dict[str, int]:
    return {reason: n for reason, n in footer.dropped.items() if reason not in REDUNDANT}
