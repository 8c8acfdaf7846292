"""Files and folders on disk: hashes, replacement, writes that survive a crash of the machine."""

import hashlib
import os
import shutil
from pathlib import Path


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_listing(folder: Path) -> str:
    """Return a line `<sha256>  <path>` per file of a folder, by path, as `sha256sum` reads them."""
    files = (path for path in folder.rglob("*") if path.is_file())
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    return "".join(f"{sha256_of(folder / name)}  {name}\n" for name in names)


def replace_folder(source: Path, target: Path) -> None:
    """Replace a folder by another; a crash leaves the old folder, none, or the new one."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents so that they survive a crash of the machine."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def sync(path: Path) -> None:
    """Sync a file, or a folder's list of files, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
