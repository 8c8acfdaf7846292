"""Tables and files with rows of withdrawn texts that no run makes again."""

from collections.abc import Collection

from persona_assets.generation.journal.purge import purge
from persona_assets.orchestration.staleness import Graph
from persona_assets.resources.trained_models import remove_model
from persona_assets.storage.files import make_folder
from persona_assets.storage.shard_keys import file_stem
from persona_assets.storage.storage import PROBE, Storage
from persona_assets.storage.withdrawals import TableName

MODEL = "fine_tuned_model"
"""Asset whose tables name models on disk."""

_KINDS = ("tables", "quarantine", "journals", "completions")
_ENDINGS = (".parquet", ".jsonl")


def unreached_tables(graph: Graph, tables: Collection[TableName]) -> tuple[TableName, ...]:
    """Return the tables of trainings that the settings do not name any more."""
    return tuple(
        (asset, partition)
        for asset, partition in tables
        if asset in graph.assets
        and partition not in graph.partitions_of(graph.assets[asset].partitions)
    )


def remove_tables(storage: Storage, tables: Collection[TableName]) -> None:
    """Remove tables with their dropped rows and models; a training that is named again makes them.

    A crash leaves a table whose model is gone, and the same call again ends the work.
    """
    for asset, partition in tables:
        if asset == MODEL and storage.footer(asset, partition) is not None:
            for path in storage.scan(asset, partition).select("path").collect()["path"]:
                remove_model(storage.data_dir / path, used=())
        for kind in ("tables", "quarantine"):
            storage.path(asset, partition, kind).unlink(missing_ok=True)


def purge_tables(storage: Storage, tables: Collection[TableName]) -> None:
    """Remove the responses of the calls of tables; their accounts stay."""
    for asset, partition in tables:
        journal, completions = (
            storage.journal(asset, partition),
            storage.completions(asset, partition),
        )
        if journal.exists() or completions.exists():
            make_folder(journal.parent)
            purge(journal, completions, keep=())


def files_without_asset(
    storage: Storage, assets: Collection[str], shards: Collection[str]
) -> list[str]:
    """Return the files of some shards that belong to no asset, such as those of a removed task.

    Returns:
        Paths relative to the data folder, in order.
    """
    stems = {file_stem(shard) for shard in shards}
    found: list[str] = []
    for kind in _KINDS:
        for place in (storage.data_dir / kind).glob("[!.]*"):
            if place.name.partition(".")[0] in {*assets, PROBE}:
                continue
            files = [place] if place.is_file() else place.glob("[!.]*")
            found += [
                str(path.relative_to(storage.data_dir))
                for path in files
                if path.suffix in _ENDINGS and (path == place or path.stem in stems)
            ]
    return sorted(found)
