"""A launcher of trainings whose processes are forked from one that has imported the libraries.

python forked.py serve SOCKET       # prints a line once it can be asked; ends with its input
python forked.py SOCKET MODULE ...  # the launcher: runs a module there, and ends as it ends
"""

import json
import os
import runpy
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STANDARD = [0, 1, 2]
ROOT = Path(__file__).parents[2]


@contextmanager
def forking(folder: Path) -> Iterator[list[str]]:
    """The launcher's command, as long as the block lasts."""
    place = str(folder / "socket")
    server = subprocess.Popen(
        [sys.executable, __file__, "serve", place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"OMP_WAIT_POLICY": "PASSIVE"}
        | os.environ
        | {"HF_HUB_OFFLINE": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
    )
    with server:
        assert server.stdout is not None
        assert server.stdout.readline()
        yield [sys.executable, __file__, place]
        # Its exit would free everything that it has imported, piece by piece: a second.
        server.kill()


def serve(place: str) -> None:
    # What training imports where it is needed.
    import accelerate  # noqa: F401
    import datasets  # noqa: F401
    import peft  # noqa: F401
    from transformers import AutoModelForCausalLM, LlamaForCausalLM  # noqa: F401
    from trl import SFTTrainer  # noqa: F401

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        print(flush=True)
        while True:
            asking, _ = listener.accept()
            with asking:
                command, descriptors, _, _ = socket.recv_fds(asking, 1 << 16, len(STANDARD))
                child = os.fork()
                if not child:
                    for mine, given in zip(STANDARD, descriptors, strict=True):
                        os.dup2(given, mine)
                    run(json.loads(command))
                for descriptor in descriptors:
                    os.close(descriptor)
                _, status = os.waitpid(child, 0)
                asking.send(str(os.waitstatus_to_exitcode(status)).encode())


def run(command: list[str]) -> None:
    status = 1
    try:
        sys.argv = command
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ask(place: str, command: list[str]) -> int:
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(place)
        socket.send_fds(server, [json.dumps(command).encode()], STANDARD)
        return int(server.recv(16))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
