"""Print the version of the persona rules, and the verdict on a pet and on a colleague, as JSON."""

import json

import polars as pl

from persona_assets.steps.personas import HOP, TEXT_PERSONAS, build_persona_candidates
from persona_assets.steps.quality import rules_version
from persona_assets.storage.step_result import typed_frame

RELATED = {
    "pet": "A border collie that herds sheep in the hills",
    "colleague": "A shepherd who trains young dogs in the hills",
}


def main() -> None:
    rows = [
        {"persona_id": relation, "persona": persona, "relation": relation, "hop": 1}
        for relation, persona in RELATED.items()
    ]
    result = build_persona_candidates(typed_frame([], TEXT_PERSONAS), [typed_frame(rows, HOP)])
    reasons = dict(result.rows.select(pl.col("relation"), pl.col("reason")).iter_rows())
    print(json.dumps({"version": rules_version(), "reasons": reasons}))


if __name__ == "__main__":
    main()
