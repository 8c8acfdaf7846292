"""Start a server by a command, print its URL, and wait to be killed.

command_until_killed.py LOG NAME PORT WORD...
"""

import sys
import time
from pathlib import Path

from persona_assets.local_models.command_server import CommandServer

log, name, port, *command = sys.argv[1:]
server = CommandServer(command, name, int(port), Path(log), lambda line: None, 60).start()
print(server.base_url, flush=True)
time.sleep(600)
