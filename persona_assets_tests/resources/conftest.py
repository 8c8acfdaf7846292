from pathlib import Path

import pytest

from persona_assets.resources.catalog import Catalog
from persona_assets.resources.storage import Storage
from persona_assets_tests.sample_tables import TABLES


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """The tables of a project that has none yet."""
    return Storage(tmp_path)


@pytest.fixture
def catalog(storage: Storage) -> Catalog:
    """Their catalog."""
    return Catalog(storage, TABLES)
