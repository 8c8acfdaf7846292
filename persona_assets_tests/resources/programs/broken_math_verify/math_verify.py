"""Stands in front of math-verify on a worker's path, and cannot be imported."""

raise ImportError("broken on purpose")
