"""Checks of a project's data folder: space, locks, tables, paid responses and their index."""

import os
import shutil
from collections.abc import Iterator

from persona_assets.catalog.catalog import Catalog, CatalogError
from persona_assets.diagnosis.finding import Finding, fault, note, well
from persona_assets.generation import CompletionStore, JournalCorrupt
from persona_assets.generation.journal.journal import lease_holder, settled_keys
from persona_assets.generation.journal.paid_index import PaidIndex
from persona_assets.number_format import plural
from persona_assets.storage.footer import Footer
from persona_assets.storage.locks import LocksIgnored, file_system, is_shared, require_locks
from persona_assets.storage.storage import LEAST_FREE_BYTES, Storage

CATALOG = "persona-assets catalog"
"""Command that makes the catalog anew."""

_SHOWN = 3


def check_free_space(storage: Storage) -> Iterator[Finding]:
    """Check the free space of the data folder, and that a file can be written there."""
    folder = storage.data_dir
    place = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(place).free
    if free < LEAST_FREE_BYTES:
        yield fault(
            "disk",
            f"{free >> 20} MB are free at {folder}, and a run wants {LEAST_FREE_BYTES >> 20}",
            "free some (persona-assets gc), or set PERSONA_DATA_DIR to another disk",
        )
    elif not os.access(place, os.W_OK):
        yield fault("disk", f"{place} cannot be written", "change its owner or permissions")
    else:
        yield well("disk", f"{free / 1e9:,.1f} GB are free at {folder}")


def check_locks(storage: Storage) -> Iterator[Finding]:
    """Check that a lock in the data folder excludes a second handle."""
    folder = storage.data_dir
    if not folder.exists():
        return
    kind = file_system(folder)
    try:
        require_locks(folder)
    except LocksIgnored as error:
        yield fault("locks", str(error))
        return
    if is_shared(kind):
        yield note(
            "locks",
            f"{folder} is on {kind}: locks exclude writers of this machine, and whether they "
            "exclude those of other machines depends on how each has mounted it",
            "run on one machine only, unless the file system's locks are known to hold for all",
        )
    else:
        yield well("locks", f"locks in {folder} ({kind or 'unknown type'}) exclude second writers")


def check_tables(storage: Storage, catalog: Catalog) -> Iterator[Finding]:
    """Compare the tables on disk with each other and with the catalog."""
    found = dict[tuple[str, str | None], str]()
    damaged = 0
    for path in sorted((storage.data_dir / "tables").rglob("[!.]*.parquet")):
        try:
            footer = Footer.read(path)
        except ValueError as error:
            damaged += 1
            yield fault("tables", str(error))
            continue
        found[footer.asset, footer.shard] = footer.data_version
        if not storage.path(footer.asset, footer.shard, "quarantine").exists():
            yield fault(
                "tables",
                f"{path} has no quarantine beside it: its dropped rows are not known",
                "remove the table and run again; its calls are not paid for again",
            )
    if not damaged:
        yield well("tables", plural(len(found), "table"))
    if found or catalog.path.exists():
        yield from _check_catalog(found, catalog)


def _check_catalog(found: dict[tuple[str, str | None], str], catalog: Catalog) -> Iterator[Finding]:
    try:
        rows = catalog.query("SELECT asset, shard, data_version FROM materializations").rows()
    except CatalogError as error:
        yield fault("catalog", str(error), CATALOG)
        return
    recorded = {(asset, shard): version for asset, shard, version in rows}
    differing = sorted(
        {name for name, version in found.items() if recorded.get(name) != version}
        | (recorded.keys() - found.keys()),
        key=str,
    )
    if differing:
        names = ", ".join(" of ".join(filter(None, name)) for name in differing[:_SHOWN])
        more = f" and {len(differing) - _SHOWN:,} more" if len(differing) > _SHOWN else ""
        yield fault("catalog", f"it differs from the tables on disk: {names}{more}", CATALOG)
    else:
        yield well("catalog", f"equal to {plural(len(found), 'table')} on disk")


def check_withdrawals(storage: Storage) -> Iterator[Finding]:
    """Check that the file of withdrawn texts can be read."""
    if not storage.withdrawn.exists():
        return
    try:
        count = len(storage.withdrawals().active)
    except ValueError as error:
        yield fault("withdrawals", str(error))
    else:
        yield well("withdrawals", plural(count, "withdrawn text"))


def check_responses(storage: Storage) -> Iterator[Finding]:
    """Check that journals and completions can be read, and name interrupted and running tables."""
    _, journals, completions = storage.paid_folders
    faults = 0
    paths = sorted(completions.rglob("[!.]*.parquet"))
    for path in paths:
        try:
            CompletionStore(path).close()
        except JournalCorrupt as error:
            faults += 1
            yield fault("responses", str(error))
    for path in sorted(journals.rglob("*.jsonl")):
        name = path.relative_to(journals).with_suffix("")
        try:
            with path.open("rb") as file:
                count = sum(1 for _ in settled_keys(path, file))
        except FileNotFoundError:  # Its table was published in the meantime.
            continue
        except JournalCorrupt as error:
            faults += 1
            yield fault("responses", str(error))
            continue
        if holder := lease_holder(path):
            yield note("responses", f"{name} is being made by {holder}")
        elif count:
            yield note(
                "responses",
                f"{name} was interrupted: {plural(count, 'paid response')} in its journal",
                "persona-assets run goes on from there",
            )
    if not faults:
        yield well("responses", f"{plural(len(paths), 'completions file')} and all journals open")


def check_paid_index(storage: Storage) -> Iterator[Finding]:
    """Look up a key of each completions file in the index of paid keys."""
    folder, journals, completions = storage.paid_folders
    if not folder.exists():
        return
    index = PaidIndex(folder, journals, completions)
    if not index.is_current():
        yield note("index of paid keys", "it lacks recent responses", "the next run adds them")
        return
    lost = 0
    for path in completions.rglob("[!.]*.parquet"):
        name = str(path.relative_to(completions).with_suffix(""))
        try:
            with CompletionStore(path) as store:
                keys = [key for keys, _ in store.columns("key", "line") for key in keys if key]
        except JournalCorrupt:  # `check_responses` names it.
            continue
        lost += any(name not in index.tables(key) for key in keys[:1])
    if lost:
        yield fault(
            "index of paid keys",
            f"it lacks the responses of {plural(lost, 'table')}, which would be paid for again",
            f"remove the folder {folder}: the next run makes it anew",
        )
    else:
        yield well("index of paid keys", f"{plural(len(index), 'key')}")
