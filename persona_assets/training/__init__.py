"""Programs that load torch, run as child processes by `resources/trainer.py`.

Belongs here: the fine-tuning program, its job description, the conversion of GGUF files.
"""
