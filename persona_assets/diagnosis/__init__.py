"""Diagnosis of a project: findings of `persona-assets doctor`, and files that it can do without.

Belongs here: checks that change nothing and cost nothing. Does not belong here: repairs, which the
commands that a finding names make.
"""
