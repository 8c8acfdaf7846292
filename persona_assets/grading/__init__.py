"""Equality of mathematical answers: reading of untrusted text, comparison by type.

`typography` writes a text plainly, `lexer` and `parser` make a syntax tree of it, `reading` makes
typed values of the tree, and `comparison` compares values. `numeric` evaluates expressions exactly
or to any precision, `algebra` asks sympy.

Does not belong here: extraction of an answer from a solution (`steps/answers.py`), processes
(`resources/grader.py`).
"""

VERSION = "2"
"""Version of the verdicts, a part of the code version of assets that compare answers by algebra."""
