"""Prompt files, schemas of their answers, and the call of a prompt on many rows.

Belongs here: the path from a row to a request, and from an answer to a row. Does not belong here:
HTTP and retries, see `generation`.
"""
