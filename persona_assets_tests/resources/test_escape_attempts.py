"""No program leaves a sandbox, changes the world or reaches another program; it always ends."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from persona_assets.resources.program_answers import ProgramResult
from persona_assets.resources.sandbox import Kind, Sandbox

ATTEMPTS = dict(
    attempt.split("\n", 1)
    for attempt in Path(__file__).with_name("escape_attempts.txt").read_text().split("=== ")[1:]
)
"""Hostile programs by what they attempt. An attempt that succeeds prints ESCAPED or the secret, or
leaves a trace in the folder or at the server."""

SECRET = "the-secret-of-the-house"
BYSTANDER = "import math\nBYSTANDERS = math.comb(10, 3)\nprint(sum([BYSTANDERS, 0]))"
"""Program of someone else, which answers 120."""


@pytest.fixture(scope="module", params=["light", "isolated"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANDBOX_SECRET", SECRET)
        with Sandbox(seconds=0.2, memory_mb=128, kind=request.param) as sandbox:
            assert sandbox.run(BYSTANDER).answer == "120"
            yield sandbox


@pytest.fixture(scope="module")
def server() -> Iterator[socket.socket]:
    """A server that records connections: none is ever accepted, so that one would be waiting."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_attempt_is_contained(
    sandbox: Sandbox, server: socket.socket, tmp_path: Path, attempt: str
) -> None:
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "planted.py").write_text("print('ESCAPED')")
    before = state(tmp_path)
    source = ATTEMPTS[attempt].replace("{{", "{").replace("}}", "}")
    for name, value in (
        ("{secret}", tmp_path / "secret.txt"),
        ("{folder}", tmp_path),
        ("{port}", server.getsockname()[1]),
    ):
        source = source.replace(name, str(value))
    result = sandbox.run(source)
    for text in (result.answer, result.output, result.error):
        assert SECRET not in (text or "")
        assert "ESCAPED" not in (text or "")
    assert state(tmp_path) == before
    with pytest.raises(BlockingIOError):
        server.accept()
    assert sandbox.run(BYSTANDER) == ProgramResult("120", "120\n", None)


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time and content of all files of a folder."""
    files = {path.name: path for path in folder.iterdir()}
    return {
        name: (path.stat().st_mode, path.stat().st_mtime_ns, path.read_bytes())
        for name, path in files.items()
    }


@pytest.mark.parametrize("kind", ["light", "isolated"])
def test_programs_at_the_same_time_cannot_answer_for_each_other(kind: Kind) -> None:
    forger = ATTEMPTS["write another program's answer to all descriptors"]
    forger = forger.replace("{{", "{").replace("}}", "}")
    answers: list[str | None] = []

    with Sandbox(kind=kind) as sandbox:

        def run(n: int) -> None:
            for _ in range(5):
                sandbox.run(forger)
                answers.append(sandbox.run(f"answer = {n} * 7").answer)

        threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(map(str, answers)) == sorted(5 * ["0", "7", "14", "21"])


def test_descriptors_are_closed_whatever_a_program_does() -> None:
    with Sandbox(seconds=0.2, memory_mb=128, kind="isolated") as sandbox:
        sandbox.run(BYSTANDER)
        before = len(os.listdir("/proc/self/fd"))
        for attempt in ("memory without end", "output without end", "a crash of the interpreter"):
            sandbox.run(ATTEMPTS[attempt])
        assert len(os.listdir("/proc/self/fd")) == before


def test_channel_of_the_worker_is_closed_whatever_its_number() -> None:
    """An owner with many open files passes the worker a descriptor of a high number."""
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(100)]
    try:
        with Sandbox(seconds=2, kind="isolated") as sandbox:
            forger = (
                "import os\nreached = []\nfor number in range(64, 400):\n    try:\n"
                "        os.write(number, b'{\"status\": 0}')\n"
                "        reached.append(number)\n    except OSError:\n        pass\n"
                "print(sum(reached))"
            )
            assert sandbox.run(forger).answer == "0"
            assert sandbox.run(BYSTANDER).answer == "120"
    finally:
        for number in held:
            os.close(number)
