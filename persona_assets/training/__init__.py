"""Programs that load torch: `resources/trainer.py` runs them as child processes."""
