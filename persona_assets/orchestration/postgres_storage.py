"""Storage of the Dagster instance in PostgreSQL, for many runs at once or several machines.

dagster.yaml names a variable of the environment, so that no password is on disk.
"""

import os
import re
from importlib.util import find_spec
from pathlib import Path

import yaml

from persona_assets.settings import SettingsError

URL = "DAGSTER_STORAGE_URL"
"""Variable of the environment with the URL, as Dagster's driver reads it."""

SETTING = "PERSONA_DAGSTER_POSTGRES_URL"

SECTION = f"""
# Runs, events and schedules in PostgreSQL; the URL is that of {SETTING}.
storage:
  postgres:
    postgres_url:
      env: {URL}
"""

_SCHEME = re.compile(r"postgres(?:ql)?(?:\+\w+)?://")


def keep_in_postgres(configuration: Path, url: str | None) -> bool:
    """Have the instance of a configuration keep its runs and events in a database.

    Args:
        configuration: File `dagster.yaml`; the section `storage` is added once.
        url: `postgresql://user:password@host/database`; None for the files beside the
            configuration.

    Returns:
        True if the section was added.

    Raises:
        SettingsError: The URL is none of PostgreSQL, the extra is missing, or the configuration
            keeps runs and events elsewhere.
    """
    storage = (yaml.safe_load(configuration.read_text("utf-8")) or {}).get("storage")
    ours = storage == yaml.safe_load(SECTION)["storage"]
    if url is None:
        if ours:
            raise SettingsError(
                f"{configuration} keeps runs and events in PostgreSQL: set {SETTING}, or remove "
                "its section storage to begin anew in files"
            )
        return False
    if storage is not None and not ours:
        raise SettingsError(
            f"{configuration} has a section storage of its own: remove it, or {SETTING}"
        )
    if not _SCHEME.match(url):
        raise SettingsError(f"{SETTING} must be postgresql://user:password@host/database")
    if find_spec("dagster_postgres") is None:
        raise SettingsError(f"{SETTING} needs the extra: pip install 'persona_assets[postgres]'")
    # SQLAlchemy would take psycopg 3 for the plain scheme, on which Dagster's notifications fail.
    os.environ[URL] = _SCHEME.sub("postgresql+psycopg2://", url)
    if ours:
        return False
    with configuration.open("a", encoding="utf-8") as file:
        file.write(SECTION)
    return True
