"""Open and close a journal.

python -m persona_assets_tests.generation.programs.open_journal JOURNAL
"""

import sys

from persona_assets.generation import Journal

if __name__ == "__main__":
    with Journal(sys.argv[1]):
        pass
