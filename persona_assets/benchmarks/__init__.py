"""Benchmarks of math problems: one file per layout, with its extraction and grading of answers.

Belongs here: the fields of a layout, how a final answer is read from a reply, how two answers are
compared. Does not belong here: asking the model, accuracy and its interval (`steps/evaluation.py`).
A package adds a layout of its own by an entry point of the group "persona_assets.benchmarks".
"""
