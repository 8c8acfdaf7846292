"""Print a line once a program runs in an isolated sandbox, which then computes without end."""

import threading

from persona_assets.resources.sandbox import Sandbox

sandbox = Sandbox(seconds=600, kind="isolated")
assert sandbox.run("answer = 1").answer == "1"
threading.Timer(1, lambda: print("busy", flush=True)).start()
sandbox.run("while True: pass")
