"""Import the grader and print if sympy came with it."""

import sys

import persona_assets.resources.grader  # noqa: F401

print("sympy" in sys.modules)
