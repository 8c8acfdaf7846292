"""Sections on experiments: the map of the hub, figures 9 and 10, control arms, trainings."""

from typing import Any

import polars as pl

from persona_assets.assets.scaling_curve import PAPER
from persona_assets.number_format import format_number, format_percent
from persona_assets.plots.box_plot import draw_box_plot
from persona_assets.plots.control_arms import draw_beside, draw_growth
from persona_assets.plots.density import draw_density
from persona_assets.plots.loss_curve import arm_suffix, draw_loss_curve, training_name
from persona_assets.plots.scaling_curve import draw_scaling_curve
from persona_assets.reporting.blocks import Block, Drawing, Section, build_table
from persona_assets.reporting.facts import Facts
from persona_assets.steps import control_arms as arms
from persona_assets.steps import diversity
from persona_assets.steps.scaling_curve import curve_points
from persona_assets.steps.size_comparison import comparison_verdicts

DASHED = "The dashed curve is the paper's: another model, on MATH (arXiv 2406.20094, figure 9)."


def map_section(facts: Facts) -> Section:
    """Write the map of the hub and its largest clusters."""
    title = "Map of the hub"
    clusters, places = facts.rows("persona_clusters"), facts.rows("persona_map", ["x", "y"])
    if clusters is None or places is None or clusters.is_empty():
        return Section("map", title, ["No map yet: persona_clusters has no table or no row."])
    left_off = sum(sum(footer.dropped.values()) for footer in facts.footers["persona_map"])
    caption = f"{len(places):,} personas by meaning; {left_off:,} without a readable vector are off"
    largest = clusters.sort("size", "label", descending=[True, False])
    rows = [
        (row["label"], row["size"], format_percent(row["share"]), _first(row["examples"]))
        for row in largest.iter_rows(named=True)
    ]
    first = ", ".join(largest["label"].head(5))
    alt = f"Density map of {len(places):,} personas; the largest clusters are {first}."
    heads = ("cluster", "personas", "share", "a typical persona")
    return Section(
        "map",
        title,
        [
            Drawing("map", alt, f"{caption}.", draw_density([places], clusters, title)),
            build_table("Clusters, the largest first", heads, rows, heads[-1]),
        ],
    )


def scaling_section(facts: Facts) -> Section:
    """Write figure 9: accuracy by number of training problems."""
    title = "Accuracy by training problems (figure 9)"
    curve = facts.rows("scaling_curve")
    if curve is None or curve.is_empty():
        missing = (
            "No accuracy yet: no model was trained and evaluated, or scaling_curve is not made."
        )
        return Section("figure-9", title, [missing])
    measured = facts.rows("baseline_accuracy", ["baseline", "benchmark", "accuracy"])
    baselines = pl.DataFrame() if measured is None else measured.drop_nulls("accuracy")
    levels = {f"{name}, {benchmark}": share for name, benchmark, share in baselines.iter_rows()}
    points = curve_points(curve)
    heads = ("benchmark", "problems trained on", "n", "accuracy, 95 % interval", "over seeds")
    rows = [
        (
            f"{row['benchmark']}{arm_suffix(row['arm'])}",
            row["examples"],
            row["n"],
            format_percent(row["accuracy"], row["low"], row["high"]) or "not measured",
            _over_seeds(row),
        )
        for row in points.iter_rows(named=True)
    ]
    alt = "Accuracy by number of training problems; the table below has every point."
    drawn = draw_scaling_curve(points, PAPER, levels)
    blocks: list[Block] = [
        Drawing("figure 9", alt, DASHED, drawn),
        build_table("Points of the curve", heads, rows),
    ]
    if levels:
        others = [(name, format_percent(share)) for name, share in levels.items()]
        blocks.append(build_table("Other models", ("model, benchmark", "accuracy"), others))
    comparison = facts.rows("size_comparison")
    if comparison is not None and len(comparison):
        verdicts = zip(comparison["benchmark"], comparison_verdicts(comparison), strict=True)
        columns = ("benchmark", "verdict")
        blocks.append(
            build_table(
                "Models on the same problems; p-values are corrected for their number (Holm)",
                columns,
                verdicts,
                columns[1],
            )
        )
    return Section("figure-9", title, blocks)


def training_section(facts: Facts) -> Section:
    """Write the loss curves of the trainings."""
    title = "Trainings"
    curve = facts.rows("training_curve")
    if curve is None or curve["loss"].drop_nulls().is_empty():
        return Section("trainings", title, ["No loss curve: nothing was trained."])
    ends = (
        curve.drop_nulls("loss")
        .sort("arm", "training_size", "seed", "step")
        .group_by("training_size", "arm", "seed", maintain_order=True)
        .agg(
            steps=pl.len(),
            tokens=pl.col("tokens").max(),
            first=pl.col("loss").first(),
            last=pl.col("loss").last(),
        )
    )
    several = ends["seed"].n_unique() > 1
    rows = [
        (
            training_name(size, arm, seed if several else None),
            *(steps, tokens, format_number(first), format_number(last)),
        )
        for size, arm, seed, steps, tokens, first, last in ends.iter_rows()
    ]
    heads = ("training size", "steps", "tokens", "first loss", "last loss")
    alt = "Training loss by tokens seen; the table below has first and last losses."
    caption = "Loss in nats per token; dots are the loss on rows kept apart."
    return Section(
        "trainings",
        title,
        [
            Drawing("loss", alt, caption, draw_loss_curve(curve)),
            build_table("Losses", heads, rows),
        ],
    )


def diversity_section(facts: Facts) -> Section:
    """Write figure 10: similarity of problems by similarity of their personas."""
    title = "Diversity of problems (figure 10)"
    report = facts.rows("diversity_report")
    if report is None or report.is_empty():
        return Section(
            "figure-10", title, ["No pair yet: diversity_report has no table or no row."]
        )
    panels = report["panel"].unique(maintain_order=True)
    drawn = draw_box_plot(
        report,
        facts.project.settings.pairs_per_bucket,
        reference=diversity.paper_quartiles(panels),
    )
    beside = diversity.beside_paper(report)
    rows = [
        (
            row["panel"],
            f"{row['bucket']:g}",
            row["pairs"],
            *(_cosine(row[name]) for name in ("q1", "median", "q3")),
            _cosine(row["paper_median"]),
        )
        for row in beside.iter_rows(named=True)
    ]
    heads = (
        "panel",
        "similarity of the personas",
        "pairs",
        "first quartile",
        "median",
        "third quartile",
        "median of the paper",
    )
    alt = "Box plot of the similarity of problems; the table below has the quartiles."
    caption = "Cosines. A diamond is the paper's median, with its quartiles."
    return Section(
        "figure-10",
        title,
        [
            Drawing("figure 10", alt, caption, drawn),
            build_table("Similarity of the problems of pairs", heads, rows),
        ],
    )


def control_section(facts: Facts) -> Section:
    """Write the control arms: full personas against less and against none."""
    title = "Control arms"
    figures = facts.rows("control_arms")
    if figures is None or figures.is_empty():
        return Section("control-arms", title, ["No control arms: nothing was measured."])
    measures = [name for name in arms.HIGHER_IS_DIVERSE if name not in (*arms.SHARES, "words")]
    compared = figures.filter(pl.col("finding").is_not_null())
    rows = [
        (
            f"{arms.NAMES[row['measure']]}, against {arms.NAMES[row['against']]}",
            row["n"],
            f"{row['value']:+.3g}",
            *(
                "" if row[low] is None else f"{row[low]:+.3g} to {row[high]:+.3g}"
                for low, high in (("low", "high"), ("low_together", "high_together"))
            ),
            row["finding"],
        )
        for row in compared.iter_rows(named=True)
    ]
    heads = (
        "measure",
        "problems per arm",
        "difference",
        "95 % interval",
        "95 % for all together",
        "finding",
    )
    see = "the table below has differences with intervals"
    return Section(
        "control-arms",
        title,
        [
            *arms.verdict(figures).splitlines(),
            Drawing(
                "growth of near-duplicates",
                f"Near-duplicates of each arm by number of problems; {see}.",
                "Near-duplicates by number of problems.",
                draw_growth(figures, arms.SHARES, arms.LABELS),
            ),
            Drawing(
                "measures of the arms",
                f"Measures of each arm beside those of full personas; {see}.",
                "Measures beside full personas.",
                draw_beside(figures, measures, arms.LABELS),
            ),
            build_table("Full personas against each arm", heads, rows, heads[-1]),
        ],
    )


def _over_seeds(point: dict[str, Any]) -> str:
    """Return the spread of a point over seeds in words; "" for a single seed."""
    if point["sd"] is None:
        return ""
    return (
        f"{point['seeds']} seeds, {format_percent(point['least'])} to "
        f"{format_percent(point['most'])}, SD {100 * point['sd']:.1f} points"
    )


def _cosine(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _first(examples: list[str] | None) -> str:
    return examples[0] if examples else ""
