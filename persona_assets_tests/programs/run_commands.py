"""Run commands of `persona-assets` one after another; print code, output and errors of each.

Usage: python run_commands.py '[["plan"], ["run", "--select", "key:raw_corpus"]]'
"""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

from persona_assets.cli import main

for command in json.loads(sys.argv[1]):
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main(command)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
