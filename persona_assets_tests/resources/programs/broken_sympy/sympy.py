"""Stands in front of sympy on a worker's path, and cannot be imported."""

raise ImportError("broken on purpose")
