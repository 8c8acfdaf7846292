"""Open a journal, print "held", and hold the lease until standard input ends.

python -m persona_assets_tests.generation.programs.hold_journal JOURNAL
"""

import sys

from persona_assets.generation import Journal

if __name__ == "__main__":
    with Journal(sys.argv[1]):
        print("held", flush=True)
        sys.stdin.read()
