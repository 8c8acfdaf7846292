"""Import the code location and print which of the named modules were imported too.

python -W error -m persona_assets_tests.programs.print_heavy_imports MODULE ...
"""

import sys

import persona_assets.definitions  # noqa: F401

print(*(name for name in sys.argv[1:] if name in sys.modules))
