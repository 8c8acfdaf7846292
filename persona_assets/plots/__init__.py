"""Pictures for the UI: SVG from figures, without Dagster and without disk."""
