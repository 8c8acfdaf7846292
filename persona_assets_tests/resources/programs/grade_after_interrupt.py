"""Interrupt a call of a grader, and print the verdicts of the next call.

`grade_after_interrupt.py PAIR ENDLESS`: both arguments are pairs of answers as JSON.
"""

import json
import os
import signal
import sys
import threading

from persona_assets.resources.grader import Grader

pair, endless = (tuple(json.loads(argument)) for argument in sys.argv[1:])
with Grader(timeout=2.0) as grader:
    assert grader.equal([pair]) == [True]
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        grader.equal([endless] * 1000)
    except KeyboardInterrupt:
        print(grader.equal([("x^3 < 8", "x < 3"), pair]))
