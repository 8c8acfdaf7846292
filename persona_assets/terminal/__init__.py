"""Terminal output of the commands in `cli.py`: progress, tables, figures."""
