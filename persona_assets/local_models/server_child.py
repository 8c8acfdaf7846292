"""Program of a `LocalServer`'s child process: serves a GGUF file until its parent ends.

Run by file name, and imports nothing of this package:
`python server_child.py MODEL ALIAS SLOTS CONTEXT_TOKENS THREADS`, with the key in the environment.
The only line on standard output is the server's address.
"""

import os
import select
import signal
import sys

KEY_VARIABLE = "PERSONA_LOCAL_SERVER_KEY"
"""Environment variable of the API key, which must not appear on a command line."""

PROMPT_CACHE_MIB = 512
"""Size of the prompt cache in MiB."""

WARNINGS = 2
"""Log level of the library that writes no line per request."""


def serve(model: str, alias: str, slots: int, context_tokens: int, threads: int, key: str) -> None:
    """Serve on 127.0.0.1 until standard input closes or the parent process changes."""
    address_pipe = os.dup(1)
    os.dup2(2, 1)  # the library's output belongs in the log, not in the parent's pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    parent = os.getppid()
    # Threads that spin while they wait for each other run at a tenth of their speed beside another
    # busy process. The library's OpenMP reads this variable when it is loaded; `poll` is for builds
    # without OpenMP.
    os.environ["OMP_WAIT_POLICY"] = "passive"

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {alias}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.ui = False
    params.endpoint_slots = False
    params.n_parallel = slots
    params.n_ctx = context_tokens * slots  # the library divides it among the slots
    params.fit_params = False
    params.cache_prompt = True
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.verbosity = WARNINGS
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads
        cpu.poll = 0
    server = xllamacpp.Server(params)  # returns once the model is loaded
    os.write(address_pipe, f"{server.listening_address}\n".encode())
    os.close(address_pipe)
    # The parent is watched too, because a process forked from it can hold the pipe open.
    while os.getppid() == parent and not select.select([sys.stdin], [], [], 1.0)[0]:
        pass
    os._exit(0)  # nothing to save; a request in flight would delay the library's own shutdown


if __name__ == "__main__":
    serve(
        sys.argv[1],
        sys.argv[2],
        int(sys.argv[3]),
        int(sys.argv[4]),
        int(sys.argv[5]),
        os.environ.pop(KEY_VARIABLE),
    )
