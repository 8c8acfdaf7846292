"""Print the rules' version, the verdicts on a pet and a colleague, and who is expanded, as JSON."""

import json

import polars as pl

from persona_assets.steps.personas import (
    HOP,
    TEXT_PERSONAS,
    build_hop_personas,
    build_persona_candidates,
)
from persona_assets.steps.quality import rules_version
from persona_assets.storage.step_result import typed_frame
from persona_assets_tests.steps.answers_double import answering, prompt, user_text

PERSONAS = {
    "pet": "A border collie that herds sheep in the hills",
    "colleague": "A shepherd who trains young dogs in the hills",
}
"""Persona by relation."""


def main() -> None:
    roots = typed_frame([], TEXT_PERSONAS)
    rows = [
        {"persona_id": relation, "persona": persona, "relation": relation, "hop": 1}
        for relation, persona in PERSONAS.items()
    ]
    hop = typed_frame(rows, HOP)
    candidates = build_persona_candidates(roots, [hop]).rows
    model = answering(lambda request: "refused")
    to_related = prompt("persona_to_persona")
    build_hop_personas([roots, hop], to_related, model, number=2, relations=2, limit=None)
    expanded = [
        relation
        for relation, persona in PERSONAS.items()
        if any(persona in user_text(request) for request in model.asked)
    ]
    reasons = dict(candidates.select(pl.col("relation"), pl.col("reason")).iter_rows())
    print(json.dumps({"version": rules_version(), "reasons": reasons, "expanded": expanded}))


if __name__ == "__main__":
    main()
