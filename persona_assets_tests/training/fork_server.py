"""Launcher whose trainings are forked from a server process that has imported the libraries.

python fork_server.py serve SOCKET       # the server: prints a line once it accepts connections
python fork_server.py SOCKET MODULE ...  # the launcher: runs a module, and exits with its status
"""

import json
import os
import runpy
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STANDARD = [0, 1, 2]
"""Descriptors of the standard streams."""

ROOT = Path(__file__).parents[2]


@contextmanager
def forking(folder: Path) -> Iterator[list[str]]:
    """Run the server as long as the block lasts, and return the command of the launcher."""
    socket_path = str(folder / "socket")
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", socket_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": str(ROOT),
        },
    )
    with server:
        assert server.stdout is not None
        assert server.stdout.readline()
        yield [sys.executable, __file__, socket_path]
        # Not a regular exit, which takes a second to free all imported modules.
        server.kill()


def serve(socket_path: str) -> None:
    """Fork a process for each connection, with the standard streams of its launcher."""
    # The libraries that training imports inside its functions.
    import accelerate  # noqa: F401
    import datasets  # noqa: F401
    import peft  # noqa: F401
    from transformers import AutoModelForCausalLM, LlamaForCausalLM  # noqa: F401
    from trl import SFTTrainer  # noqa: F401

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(socket_path)
        listener.listen()
        print(flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                command, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, len(STANDARD))
                child = os.fork()
                if not child:
                    for standard, received in zip(STANDARD, descriptors, strict=True):
                        os.dup2(received, standard)
                    run(json.loads(command))
                for descriptor in descriptors:
                    os.close(descriptor)
                _, status = os.waitpid(child, 0)
                # The launcher may have been killed.
                with suppress(BrokenPipeError):
                    connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def run(command: list[str]) -> None:
    """Run a module as a program, and end this process without Python's clean-up."""
    try:
        sys.argv = command
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        error = sys.exception()
        if error is not None:
            traceback.print_exception(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0 if error is None else 1)


def launch(socket_path: str, command: list[str]) -> int:
    """Have a module run by the server, and return its exit status."""
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(socket_path)
        socket.send_fds(server, [json.dumps(command).encode()], STANDARD)
        return int(server.recv(16))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    sys.exit(launch(sys.argv[1], sys.argv[2:]))
