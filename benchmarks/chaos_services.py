"""Services of a project, Dagster's daemon and webserver, under a manager that restarts them."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

WORKSPACE = Path(__file__).parents[1] / "workspace.yaml"


class Services:
    """Daemon and webserver of a project; a service that ends is started again.

    Args:
        environment: Environment of all processes; its DAGSTER_HOME tells them from others.
        log: File that receives their output.
    """

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = dict(environment)
        self._log = log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        programs = Path(sys.executable).parent
        where = ["--workspace", str(WORKSPACE)]
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        self._commands = {
            "daemon": [str(programs / "dagster-daemon"), "run", *where],
            "webserver": [str(programs / "dagster-webserver"), *where, *address],
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._manager = threading.Thread(target=self._restart)

    def __enter__(self) -> "Services":
        self._manager.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._manager.join()
        for service in self._processes.values():
            service.terminate()
        time.sleep(2.0)
        self.kill_all()

    def _restart(self) -> None:
        while not self._closing.wait(0.5):
            with self._lock:
                for name, command in self._commands.items():
                    if name not in self._processes or self._processes[name].poll() is not None:
                        with self._log.open("ab") as log:
                            self._processes[name] = subprocess.Popen(
                                command, env=self._environment, stdout=log, stderr=log
                            )

    def kill(self, name: str) -> None:
        """Send SIGKILL to a service, and to none of its children."""
        self._processes[name].kill()

    def kill_all(self) -> None:
        """Send SIGKILL to all processes of the project, as a crash of the machine does."""
        with self._lock:
            for process in self._all():
                _kill(process.pid)
            for service in self._processes.values():
                service.wait()

    def workers(self) -> list[int]:
        """Return the numbers of the processes that execute runs."""
        return [
            process.pid
            for process in self._all()
            if any("spawn_main" in part for part in process.cmdline())
        ]

    def _all(self) -> list[psutil.Process]:
        home = self._environment["DAGSTER_HOME"]
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DAGSTER_HOME") == home and process.pid != os.getpid():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def ask(self, query: str, **variables: Any) -> Any:
        """Return the data of a GraphQL query; None while the webserver is away."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = json.load(response)
        except OSError:
            return None
        if "errors" in answer:
            raise RuntimeError(answer["errors"])
        return answer["data"]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
