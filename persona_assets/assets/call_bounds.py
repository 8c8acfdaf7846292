"""Upper bounds on rows and calls, derived from the settings and each asset's declaration."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Protocol

from persona_assets.generation.completion import MAX_TOKENS
from persona_assets.project import Project
from persona_assets.resources.session import EMBEDDING_BATCH
from persona_assets.settings import Settings
from persona_assets.steps.probes import PROBES

MOST_PROBES = sum(map(len, PROBES.values()))
"""Number of probe texts embedded with a shard whose personas use all scripts."""


USUAL_TEXTS = 100
"""Texts of the shard for which questions are counted."""

Bound = Callable[["CallBounds"], int | None]
"""Bound on the rows or the calls of an asset; None if a setting leaves it open."""


class BoundedAsset(Protocol):
    """An asset as its bounds are read; `TableAsset` is one."""

    @property
    def rows(self) -> Bound | None:
        """Most rows over all shards; None if the asset states no bound."""

    @property
    def calls(self) -> Bound | None:
        """Most answered calls over all shards; None if the asset asks no model."""


class CallBounds:
    """Most rows and most answered calls of each asset, over all shards.

    A bound is None if a setting leaves it open. A bound counts questions, embedding calls and a
    judge's verdicts included, and, unless `once`, the repeated calls that the engine may make per
    question (see `calls_per_question`). It does not count attempts without a response.

    Args:
        project: Settings and prompts.
        assets: Declarations of all assets, by name.
        shards: Number of shards.
        texts: Number of texts in these shards; None for the most that the settings allow.
        once: Count each question once.
        ready_shards: Number of those shards that hold ready personas.
        ready: Number of ready personas in them; None for the most that the settings allow.
        known: Rows of finished tables that stay as they are, by asset.
    """

    def __init__(
        self,
        project: Project,
        assets: Mapping[str, BoundedAsset],
        shards: int,
        texts: int | None = None,
        *,
        once: bool = False,
        ready_shards: int = 0,
        ready: int | None = None,
        known: Mapping[str, int] | None = None,
    ) -> None:
        self.project = project
        self.shards = shards
        self.text_shards = shards - ready_shards
        settings = project.settings
        self.texts = times(settings.texts_per_shard, self.text_shards) if texts is None else texts
        self.ready = times(settings.ready_per_shard, ready_shards) if ready is None else ready
        self._assets = assets
        self._once = once
        self._known = known or {}

    @property
    def settings(self) -> Settings:
        """Settings of the project."""
        return self.project.settings

    def rows(self, name: str) -> int | None:
        """Return the most rows of an asset.

        Raises:
            ValueError: The asset states no bound on its rows.
        """
        if name in self._known:
            return self._known[name]
        bound = self._assets[name].rows
        if bound is None:
            raise ValueError(
                f"{name} states no bound on its rows: add rows= to its @table_asset, since the "
                "bound of another asset reads it"
            )
        return bound(self)

    def calls(self, name: str) -> int | None:
        """Return the most calls of an asset; 0 if the asset asks no model."""
        bound = self._assets[name].calls
        return 0 if bound is None else bound(self)

    def all_calls(self) -> dict[str, int | None]:
        """Return the most calls of every asset that may ask a model, by name."""
        return {name: self.calls(name) for name, asset in self._assets.items() if asset.calls}

    def question_calls(self, questions: int | None, prompt: str) -> int | None:
        """Return the most calls for a number of questions that use a prompt."""
        return (
            questions if self._once else times(questions, calls_per_question(self.project, prompt))
        )

    def drawn(self, rows: int | None, share: float) -> int | None:
        """Return the most rows of a share that is drawn by hash: chance may draw all of them."""
        return rows if share else 0

    def judge_calls(self, pairs: int | None) -> int | None:
        """Return the most calls for comparing pairs of answers; 0 without a judge."""
        judge = self.settings.equality == "judge"
        return self.question_calls(pairs, "answer_equality") if judge else 0

    def embedding_calls(
        self, texts: int | None, tables: int, probes: int = 0, batch: int = EMBEDDING_BATCH
    ) -> int | None:
        """Return the most embedding calls for texts in a number of tables, `probes` in each.

        Args:
            texts: Number of texts in all tables.
            tables: Number of tables.
            probes: Number of further texts per table.
            batch: Fewest texts of a call that holds as many as it may.
        """
        if self.settings.embedder.embedded or texts == 0:
            return 0
        return None if texts is None else (texts + probes * tables) // batch + tables


class QuestionCounts(CallBounds):
    """Questions of each asset by prompt, for a table of a shard with `USUAL_TEXTS` texts.

    The counts depend on the settings alone: two of them show how much a change of the settings
    multiplies the calls of a table.

    Args:
        project: Settings and prompts.
        assets: Declarations of all assets, by name.
    """

    def __init__(self, project: Project, assets: Mapping[str, BoundedAsset]) -> None:
        super().__init__(project, assets, 1, USUAL_TEXTS, once=True)
        self._counts = Counter[str]()

    def of(self, name: str) -> dict[str, int]:
        """Return the questions of a table of an asset, by prompt."""
        self._counts.clear()
        self.calls(name)
        return dict(self._counts)

    @cached_property
    def settings(self) -> Settings:
        """Settings of the project, with a single size: each has a table of its own."""
        settings = self.project.settings
        return settings.model_copy(update={"training_sizes": settings.training_sizes[:1]})

    def question_calls(self, questions: int | None, prompt: str) -> int | None:
        """Count the questions that use a prompt, and return their bound."""
        self._counts[prompt] += questions or 0
        return super().question_calls(questions, prompt)

    def drawn(self, rows: int | None, share: float) -> int | None:
        """Return the expected rows of a share that is drawn by hash."""
        return None if rows is None else round(share * rows)


def calls_per_question(project: Project, prompt: str) -> int:
    """Return the most answered calls for a single question.

    The first call; a second call with a larger token limit if the response is truncated; and a call
    per permitted retry of an invalid response, unless greedy decoding would repeat that response.
    See `_larger` and `_again` in generation/completion.py.
    """
    head = project.prompt(prompt).head
    endpoint = project.settings.endpoint(head.role)
    sampling = {**head.sampling, **endpoint.sampling}
    limited = any(isinstance(sampling.get(name), int) for name in MAX_TOKENS)
    larger = limited and endpoint.larger_retry > 1
    return 1 + larger + (endpoint.reasks if sampling.get("temperature") != 0 else 0)


def times(count: int | None, factor: int) -> int | None:
    """Multiply a bound; an open bound stays open unless the factor is 0.

    >>> times(None, 0), times(None, 2), times(3, 2)
    (0, None, 6)
    """
    return 0 if factor == 0 else None if count is None else count * factor


def plus(*counts: int | None) -> int | None:
    """Add bounds; the sum is open if any bound is open.

    >>> plus(1, 2), plus(1, None)
    (3, None)
    """
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def least(*counts: int | None) -> int | None:
    """Return the smallest bound, leaving out open bounds.

    >>> least(3, None), least(None, None)
    (3, None)
    """
    return min((count for count in counts if count is not None), default=None)
