"""PostgreSQL server of a test run, from Debian's package, reached by a socket of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CANARY = "pw-canary-1c5d2e7f"
"""Password, searched for by the tests of secrecy."""


@dataclass
class PostgresServer:
    """Server in a folder, with the programs in `bin`."""

    folder: Path
    bin: Path

    def url(self, password: str = CANARY) -> str:
        return f"postgresql://tester:{password}@/postgres?host={self.folder}"

    def run(self, program: str, *arguments: str) -> None:
        # PostgreSQL refuses to run as root.
        user = "nobody" if os.geteuid() == 0 else None
        command = [str(self.bin / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        options = f"-c listen_addresses='' -k {self.folder} -c fsync=off"
        self.run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-w", "-m", "fast", "stop")


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run a server as long as the block lasts; the test is skipped where there is none."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: no initdb and pg_ctl were found")
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    # Not tmp_path: another user must reach the folder, and a socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="pg-") as temporary:
        server = PostgresServer(Path(temporary), binaries)
        password = server.folder / "password"
        password.write_text(CANARY)
        if os.geteuid() == 0:
            shutil.chown(server.folder, "nobody")
            shutil.chown(password, "nobody")
        server.run("initdb", "-U", "tester", "-A", "scram-sha-256", f"--pwfile={password}", "-N")
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _binaries() -> Path | None:
    pg_ctl = shutil.which("pg_ctl")
    folders = [Path(pg_ctl).parent] if pg_ctl else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)
