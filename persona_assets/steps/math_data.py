"""Training and test sets from math problems (section 4.1.2)."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

import polars as pl

from persona_assets.languages import UNKNOWN
from persona_assets.steps import contamination
from persona_assets.steps.audit import find_shared
from persona_assets.steps.contamination import Containment
from persona_assets.steps.grading import Equal, accuracy, agreement
from persona_assets.steps.math_solutions import SOLVERS
from persona_assets.steps.neighbours import ProblemVectors, contained_by_meaning
from persona_assets.storage.step_result import StepResult, quarantine

VERSION = f"3.{contamination.VERSION}"
"""Version of the training and test sets."""

NOT_JUDGED: Mapping[str, Containment] = MappingProxyType({})
"""Verdicts of a judge where none is asked."""

_TOKEN = re.compile(r"\w+|[^\w\s]")

TRAIN = pl.Schema(
    {
        "sample_id": pl.String(),
        "problem": pl.String(),
        "solution": pl.String(),
        "answer": pl.String(),
        "licence": pl.String(),
        "language": pl.String(),
    }
)
TEST = pl.Schema(
    {
        "sample_id": pl.String(),
        "problem": pl.String(),
        "answer": pl.String(),
        "agreeing": pl.Int64(),
        "licence": pl.String(),
        "language": pl.String(),
    }
)

HELD_OUT = "held_out"
"""Name of the held-out problems among those that no training problem may contain."""

HELD_OUT_DUPLICATE = "held_out_duplicate"
"""Reason of a training problem with the words of a held-out problem."""

NO_AGREEMENT = "no_agreement"
"""Reason of a held-out problem on whose answer no two solvers agree."""

PAPER_AGREEMENT = (11_600, 20_000)
"""Problems that the paper keeps, and problems that it holds out (section 4.1.2)."""

PAIRS = pl.Schema(
    {
        "problem": pl.String(),
        "benchmark": pl.String(),
        "contained": pl.String(),
        "share": pl.Float64(),
        "how": pl.String(),
        "cosine": pl.Float64(),
    }
)
"""Columns of the pairs of a dropped problem and the problem that it contains."""


def build_math_train(
    solutions: pl.DataFrame,
    forbidden: pl.DataFrame,
    vectors: ProblemVectors | None = None,
    judged: Mapping[str, Containment] = NOT_JUDGED,
) -> StepResult:
    """Select the assistant's solutions of problems not held out, without forbidden problems.

    Args:
        solutions: Rows of `math_solutions` of all shards.
        forbidden: Benchmark problems, columns of `contamination.PROBLEMS`. Held-out problems are
            forbidden, too.
        vectors: Vectors of all of them; None compares words alone.
        judged: Forbidden problem by a judge's verdict, by sample id.
    """
    chosen = solutions.filter(~pl.col("held_out"), solver="assistant")
    apart = pl.concat([forbidden, held_out_problems(solutions)])
    return _clean(chosen, TRAIN, "math_train", contained_problems(chosen, apart, vectors, judged))


def build_math_test(
    solutions: pl.DataFrame,
    forbidden: pl.DataFrame,
    equal: Equal,
    vectors: ProblemVectors | None = None,
    judged: Mapping[str, Containment] = NOT_JUDGED,
) -> StepResult:
    """Select held-out problems with an answer of two solvers or more, without forbidden problems.

    Args:
        solutions: Rows of `math_solutions` of all shards.
        forbidden: Benchmark problems, columns of `contamination.PROBLEMS`.
        equal: Comparison of answers.
        vectors: Vectors of held-out and forbidden problems; None compares words alone.
        judged: Forbidden problem by a judge's verdict, by sample id.
    """
    held_out = solutions.filter("held_out")
    problems = held_out.unique("sample_id", keep="first", maintain_order=True)
    given = {(r["sample_id"], r["solver"]): r["answer"] for r in held_out.iter_rows(named=True)}
    sets = [[given.get((row_id, s)) for s in SOLVERS] for row_id in problems["sample_id"]]
    agreed = agreement(sets, equal)
    tested = problems.with_columns(
        pl.Series("answer", [a.answer if a else None for a in agreed], pl.String()),
        pl.Series("agreeing", [a.votes if a else 0 for a in agreed], pl.Int64()),
    )
    lonely = tested.filter(pl.col("answer").is_null())["sample_id"]
    answered = tested.filter(pl.col("answer").is_not_null())
    contained = contained_problems(answered, forbidden, vectors, judged)
    outcome = _clean(answered, TEST, "math_test", contained)
    disagreed = quarantine("math_test", ((row_id, NO_AGREEMENT) for row_id in lonely))
    return StepResult(outcome.rows, pl.concat([disagreed, outcome.dropped]), len(problems))


def drop_like_held_out(
    result: StepResult, held_out: pl.DataFrame, threshold: Fraction
) -> StepResult:
    """Drop training problems with the words of a held-out problem, with which none was compared.

    Args:
        result: Result of `build_math_train`.
        held_out: Held-out problems, with the column `problem`.
        threshold: Jaccard similarity of word sets from which two problems are duplicates.
    """
    like = find_shared(result.rows["problem"], held_out["problem"], threshold)
    gone = ((row_id, HELD_OUT_DUPLICATE) for row_id in result.rows.filter(like)["sample_id"])
    dropped = pl.concat([result.dropped, quarantine("math_train", gone)])
    return StepResult(result.rows.filter(~like), dropped, result.rows_in)


def agreement_share(result: StepResult) -> str:
    """Return the share of held-out problems that a test set keeps for their solvers' agreement.

    Args:
        result: Result of `build_math_test`.
    """
    n = result.rows_in or 0
    lonely = len(result.dropped.filter(pl.col("reason") == NO_AGREEMENT))
    kept, paper = accuracy(n - lonely, n), accuracy(*PAPER_AGREEMENT)
    return f"two solvers or more agree on {kept} held-out problems; in the paper on {paper}"


def held_out_problems(solutions: pl.DataFrame) -> pl.DataFrame:
    """Return the held-out problems, in the columns of `contamination.PROBLEMS`."""
    rows = solutions.filter("held_out").unique("sample_id", keep="first", maintain_order=True)
    return rows.select(
        pl.lit(HELD_OUT).alias("benchmark"), pl.col("sample_id").alias("problem_id"), "problem"
    )


def contaminated_pairs(
    dropped: pl.DataFrame, problems: pl.DataFrame, forbidden: pl.DataFrame
) -> pl.DataFrame:
    """Return the dropped problems beside those that they contain, those but for numbers last.

    Args:
        dropped: Quarantine of a math set.
        problems: Columns `sample_id` and `problem`; a problem may be repeated.
        forbidden: Columns of `contamination.PROBLEMS`.

    Returns:
        Columns of PAIRS.
    """
    found = dropped.select("id", pl.col("reason").str.extract_groups(contamination.REASON))
    contained = forbidden.rename({"problem": "contained"}).unique(["benchmark", "problem_id"])
    return (
        found.unnest("reason")
        .filter(pl.col("share").is_not_null())
        .join(problems.unique("sample_id"), left_on="id", right_on="sample_id")
        .join(contained, on=["benchmark", "problem_id"])
        .with_columns(pl.col("share", "cosine").cast(pl.Float64))
        .sort(pl.col("how") == contamination.BUT_FOR_NUMBERS, "how", "benchmark", "id")
        .select(PAIRS.names())
    )


def contained_problems(
    problems: pl.DataFrame,
    forbidden: pl.DataFrame,
    vectors: ProblemVectors | None,
    judged: Mapping[str, Containment] = NOT_JUDGED,
) -> list[Containment | None]:
    """Return the forbidden problem in each problem: by words, else by meaning, else by the judge.

    Args:
        problems: Columns `sample_id` and `problem`.
        forbidden: Columns of `contamination.PROBLEMS`.
        vectors: Vectors of all of them; None compares words alone.
        judged: Forbidden problem by a judge's verdict, by sample id.
    """
    found = list(contamination.ProblemIndex(forbidden).search(problems["problem"]))
    if vectors is None:
        return found
    without = problems.filter(pl.Series([each is None for each in found], dtype=pl.Boolean))
    by_meaning = contained_by_meaning(without, forbidden, vectors)
    pairs = zip(problems["sample_id"], found, strict=True)
    return [each or by_meaning.get(row_id) or judged.get(row_id) for row_id, each in pairs]


def _clean(
    rows: pl.DataFrame,
    schema: pl.Schema,
    stage: str,
    found: Sequence[Containment | None],
) -> StepResult:
    reasons: list[str | None] = []
    seen = set[str]()
    for problem, containment in zip(rows["problem"], found, strict=True):
        key = " ".join(_tokens(problem))
        repeat = "repeat" if key in seen else None
        reasons.append(containment.reason if containment else repeat)
        seen.add(key)
    named = rows.with_columns(pl.Series("reason", reasons, pl.String()))
    gone = named.filter(pl.col("reason").is_not_null()).select("sample_id", "reason")
    kept = named.filter(pl.col("reason").is_null())
    # Solutions of earlier versions lack the column.
    known = pl.col("language") if "language" in kept.columns else pl.lit(None, pl.String)
    kept = kept.with_columns(language=known.fill_null(UNKNOWN)).select(schema.names())
    return StepResult(kept, quarantine(stage, gone.iter_rows()), len(rows))


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text.casefold())
