"""A query is embedded by the model of this machine, and a service is never asked for it."""

import numpy as np
import pytest

from persona_assets.local_models.embedder import MINILM, EmbedderError
from persona_assets.settings import Settings
from persona_assets.terminal.explore import query_embedder


def test_service_is_not_asked() -> None:
    settings = Settings.load(profile="paper")
    assert not settings.embedder.embedded
    with pytest.raises(EmbedderError, match="this page buys nothing"):
        query_embedder(settings)("a nurse")


def test_unknown_model_is_an_error_of_the_search_alone() -> None:
    settings = Settings.load(profile="demo", embedder={"model": "other", "embedded": True})
    embed = query_embedder(settings)
    with pytest.raises(EmbedderError, match=f"PERSONA_EMBEDDER__MODEL={MINILM}"):
        embed("a nurse")


def test_embedded_model_gives_a_unit_vector() -> None:
    vector = query_embedder(Settings.load(profile="demo"))("A nurse of the harbour hospital.")
    assert vector.shape == (384,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-3)
