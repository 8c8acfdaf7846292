"""Start a server, print its URL and the id of a forked process (0: none), and wait to be killed.

serve_until_killed.py MODEL fork      # a forked process holds the pipe to the server open
serve_until_killed.py MODEL "no fork"
"""

import os
import sys
import time
from pathlib import Path

from persona_assets.local_models.server import LocalServer

model, fork = sys.argv[1:]
server = LocalServer(Path(model), "small", context_tokens=256).start()
forked = os.fork() if fork == "fork" else 0
if fork == "fork" and forked == 0:
    time.sleep(600)
print(server.base_url, forked, flush=True)
time.sleep(600)
