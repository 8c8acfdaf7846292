"""All checks of a project, in the order in which their faults should be mended."""

from collections.abc import Callable, Iterator
from pathlib import Path

from persona_assets.assets.graph import project_assets, table_contracts
from persona_assets.catalog.catalog import Catalog
from persona_assets.diagnosis.dagster_instance import check_instance
from persona_assets.diagnosis.data_folder import (
    check_free_space,
    check_locks,
    check_paid_index,
    check_responses,
    check_tables,
    check_withdrawals,
)
from persona_assets.diagnosis.endpoints import check_endpoints
from persona_assets.diagnosis.finding import Finding, fault, well
from persona_assets.diagnosis.program import check_modules, check_versions
from persona_assets.project import Project
from persona_assets.resources.corpus_folder import Corpus
from persona_assets.settings import Settings


def examine(load: Callable[[], Settings], folder: Path) -> Iterator[Finding]:
    """Examine a project and the machine; nothing is changed, and nothing is paid for.

    Args:
        load: Returns the settings of the project.
        folder: Working folder.
    """
    yield from check_versions()
    yield from check_modules(folder)
    try:
        settings = load()
        project = Project(settings)
        assets = project_assets(project)
    # Settings, prompts, benchmark: each module's own kind of ValueError, or a missing file.
    except (ValueError, OSError) as error:
        yield fault("settings", " ".join(str(error).split()), "correct it: all else depends on it")
        return
    yield well("settings", f"profile {settings.profile}, {len(assets)} assets")
    yield from _check_corpus(settings)
    yield from check_endpoints(project)
    storage = project.storage
    yield from check_free_space(storage)
    yield from check_locks(storage)
    yield from check_tables(storage, Catalog(storage, table_contracts(assets)))
    yield from check_withdrawals(storage)
    yield from check_responses(storage)
    yield from check_paid_index(storage)
    yield from check_instance(settings)


def _check_corpus(settings: Settings) -> Iterator[Finding]:
    corpus = Corpus.of(settings)
    try:
        files = corpus.files()
        files.check()
    except (OSError, ValueError) as error:
        yield fault("corpus", str(error))
        return
    unread = files.describe_unread()
    yield well("corpus", f"{len(files.shards):,} shards at {corpus.root}")
    if unread:
        yield Finding("corpus", "note", unread)
