"""The map of the hub: a place and a cluster for each persona, by the landmarks."""

from collections.abc import Mapping

import polars as pl

from persona_assets.steps import landmarks as marks
from persona_assets.steps.placement import Landmarks
from persona_assets.storage.step_result import StepResult, quarantine

VERSION = "1"

MAP = pl.Schema(
    {
        "persona_id": pl.String(),
        "x": pl.Float64(),
        "y": pl.Float64(),
        "cluster": pl.Int64(),
        "cosine": pl.Float64(),
    }
)
"""Columns of the map. `cosine` is that to the centre of the cluster."""

FIT_PERSONAS, FIT_DISTANCE = "fit_personas", "fit_distance"
"""Decisions of a fit: readable personas of the hub, and their mean distance to a landmark."""

REFIT_SHARE = 0.5
"""Share of personas that came after the fit from which a refit is advised."""

REFIT_DISTANCE = 1.25
"""Growth of the mean distance to a landmark from which a refit is advised."""


def fit_map(tables: marks.Tables, threshold: float, clusters: int | None = None) -> StepResult:
    """Draw the landmarks of a hub and fit its map.

    Args:
        tables: Hub and embeddings of each shard.
        threshold: See `landmarks.readable`.
        clusters: Number of clusters; None for a number by the size of the hub.

    Returns:
        Rows of LANDMARKS, with the state of the hub as decisions.
    """
    drawn = marks.draw_personas(tables, threshold, marks.MOST_LANDMARKS, "landmarks")
    rows = marks.fit_landmarks(drawn, clusters).match_to_schema(marks.LANDMARKS)
    return StepResult(rows, decisions=state_of(rows, tables, threshold))


def keep_map(
    kept: pl.DataFrame, decisions: Mapping[str, float], tables: marks.Tables
) -> StepResult | None:
    """Return a fit without the landmarks that left the hub, or None if it is of no use.

    A fit is of no use without landmarks, or with those of another embedding model than the hub's.

    Args:
        kept: Rows of LANDMARKS.
        decisions: Decisions of the fit.
        tables: Hub and embeddings of each shard now.
    """
    ids = [hub.select("persona_id").collect()["persona_id"] for hub, _ in tables()]
    in_hub = pl.concat([pl.Series(dtype=pl.String), *ids])
    kept = kept.filter(pl.col("persona_id").is_in(in_hub.implode()))
    if kept.is_empty() or Landmarks(kept).are_of_other_vectors(tables):
        return None
    return StepResult(kept, decisions=decisions)


def growth(then: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float | str]:
    """Return how far a hub has outgrown its map.

    Args:
        then: State of the hub at the fit.
        now: State of the hub now.

    Returns:
        Figures by name, and a sentence of advice. An unknown figure is left out.

    Example:
        >>> found = growth({FIT_PERSONAS: 100, FIT_DISTANCE: 0.4}, {FIT_PERSONAS: 400})
        >>> found["came_after_the_fit"], found["advice"]
        (0.75, 'refit the map: 75 % of the personas came after the fit')
    """
    figures: dict[str, float | str] = {
        "personas_at_the_fit": int(then.get(FIT_PERSONAS, 0)),
        "personas": int(now.get(FIT_PERSONAS, 0)),
    }
    reasons: list[str] = []
    if now.get(FIT_PERSONAS):
        share = max(0.0, 1 - then.get(FIT_PERSONAS, 0) / now[FIT_PERSONAS])
        figures["came_after_the_fit"] = share
        if share >= REFIT_SHARE:
            reasons.append(f"{100 * share:.0f} % of the personas came after the fit")
    for name, state in (("distance_at_the_fit", then), ("distance", now)):
        if FIT_DISTANCE in state:
            figures[name] = state[FIT_DISTANCE]
    if then.get(FIT_DISTANCE) and FIT_DISTANCE in now:
        times = now[FIT_DISTANCE] / then[FIT_DISTANCE]
        if times >= REFIT_DISTANCE:
            reasons.append(f"the nearest landmark is {times:.2f} times as far as at the fit")
    advice = f"refit the map: {', and '.join(reasons)}" if reasons else "the map fits the hub"
    return {**figures, "advice": advice}


def state_of(rows: pl.DataFrame, tables: marks.Tables, threshold: float) -> dict[str, float]:
    """Return the state of a hub, as in the decisions of a fit.

    Args:
        rows: Rows of LANDMARKS.
        tables: Hub and embeddings of each shard.
        threshold: See `landmarks.readable`.

    Returns:
        The number of readable personas, and the mean cosine distance of a sample of them to the
        nearest landmark, where there is another.
    """
    state: dict[str, float] = {FIT_PERSONAS: marks.count_readable(tables, threshold)}
    sample = marks.draw_personas(tables, threshold, marks.SAMPLED, "growth")
    distance = Landmarks(rows).mean_distance(sample) if len(rows) else None
    if distance is not None:
        state[FIT_DISTANCE] = round(distance, 6)
    return state


def build_persona_map(
    hub: pl.DataFrame, embeddings: pl.DataFrame, landmarks: pl.DataFrame, threshold: float
) -> StepResult:
    """Place the personas of a shard by the landmarks.

    Args:
        hub: Rows of `persona_hub`.
        embeddings: Rows of `persona_embeddings`.
        landmarks: Rows of LANDMARKS of the whole hub.
        threshold: See `landmarks.readable`.

    Returns:
        Rows of MAP. Dropped are personas without a vector, those in a script that the embedding
        model cannot read, and all where there is no landmark.

    Raises:
        ValueError: The vectors have other dimensions than those of the landmarks.
    """
    rows = hub.select("persona_id").join(
        embeddings, on="persona_id", how="left", maintain_order="left"
    )
    has_vector = pl.col("vector").list.eval(pl.element() != 0).list.any().fill_null(value=False)
    reason = (
        pl.when(~has_vector)
        .then(pl.lit("no_vector"))
        .when(pl.col("confusion") >= threshold)
        .then(pl.format("unread_script: {}", "script"))
        .when(pl.lit(landmarks.is_empty()))
        .then(pl.lit("no_landmarks"))
    )
    rows = rows.with_columns(reason=reason)
    kept = rows.filter(pl.col("reason").is_null())
    dropped = rows.filter(pl.col("reason").is_not_null()).select("persona_id", "reason")
    placed = pl.DataFrame(schema=MAP) if kept.is_empty() else _placed(kept, landmarks)
    return StepResult(placed, quarantine("persona_map", dropped.iter_rows()), len(hub))


def _placed(personas: pl.DataFrame, landmarks: pl.DataFrame) -> pl.DataFrame:
    """Return rows of MAP for personas with vectors."""
    from persona_assets.dedup.index.vector_index import to_matrix

    found = Landmarks(landmarks).place(to_matrix(personas["vector"]))
    columns = (*found.xy.T, found.clusters, found.cosines)
    series = [pl.Series(name, values) for name, values in zip(list(MAP)[1:], columns, strict=True)]
    return personas.select("persona_id", *series).match_to_schema(MAP)
