"""Prompt files, the schema of their answers, and the call that puts one prompt to many rows.

Belongs here: everything between a row and a request, and between an answer and a row.
"""
