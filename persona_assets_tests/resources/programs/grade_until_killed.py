"""Print a line once a grading worker runs, and keep it busy: `grade_until_killed.py PAIR ENDLESS`.

Both arguments are pairs of answers as JSON.
"""

import json
import sys

from persona_assets.resources.grader import Grader

pair, endless = (tuple(json.loads(argument)) for argument in sys.argv[1:])
grader = Grader(timeout=1.0)
assert grader.equal([pair]) == [True]
print("busy", flush=True)
grader.equal([endless] * 1000)
