"""Persona-driven synthetic data as a Dagster asset graph (the method of arXiv 2406.20094)."""
