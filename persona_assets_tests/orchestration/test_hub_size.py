"""A target for the hub is bought step by step: raising it, or a new shard, buys the difference."""

import pytest

from persona_assets_tests.sample_project import TEXTS, SampleProject

HOPS = [f"hop_{number}_personas" for number in range(1, 7)]
CANDIDATES = "+key:persona_candidates"


def personas(project: SampleProject, shard: str) -> int:
    return sum(len(project.rows(name, shard)) for name in ["text_personas", *HOPS])


def bought(project: SampleProject) -> int:
    """Run up to the candidates and return the number of paid calls."""
    before = sum(project.server.calls.values())
    assert not [run.error for run in project.run(CANDIDATES) if run.error]
    return sum(project.server.calls.values()) - before


@pytest.fixture
def project(fresh: SampleProject) -> SampleProject:
    for shard, texts in TEXTS.items():
        fresh.write(shard, texts)
    fresh.values["personas_per_hop"] = None
    return fresh


def test_raised_target_buys_the_difference(project: SampleProject) -> None:
    project.values["hub_size"] = 16
    small = bought(project)
    first = {shard: personas(project, shard) for shard in TEXTS}
    project.values["hub_size"] = 32
    difference = bought(project)
    assert difference > 0
    assert {s: n for s, n in first.items() if personas(project, s) < n} == {}

    whole = project.server.calls.copy()
    once = SampleProject(project.root.with_name("once"), project.server)
    once.values.update(hub_size=32, personas_per_hop=None)
    for shard, texts in TEXTS.items():
        once.write(shard, texts)
    assert bought(once) == small + difference
    assert project.server.calls - whole
    for shard in TEXTS:
        assert set(once.rows("persona_candidates", shard)["persona_id"]) == set(
            project.rows("persona_candidates", shard)["persona_id"]
        )


def test_new_shard_changes_no_earlier_one(project: SampleProject) -> None:
    project.values["hub_size"] = 24
    bought(project)
    before = project.versions()
    project.write("new.jsonl", ["A letter about the tides at the old pier, and who kept the log."])
    bought(project)
    after = project.versions()
    assert {key: after[key] for key in before} == before
    # Nothing of the target is left for a new shard, whose text still gives a persona.
    assert [len(project.rows(name, "new.jsonl")) for name in ["text_personas", *HOPS]] == [
        1,
        *[0] * 6,
    ]


def test_target_and_part_are_in_the_footer(project: SampleProject) -> None:
    project.values["hub_size"] = 24
    bought(project)
    parts = 0.0
    for shard in TEXTS:
        decisions = [project.storage.existing_footer(hop, shard).decisions for hop in HOPS]
        assert decisions[0]["hub_size"] == 24
        assert decisions == [decisions[0]] * 6
        parts += decisions[0]["personas"]
    assert parts == pytest.approx(24)
