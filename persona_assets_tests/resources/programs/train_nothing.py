"""Launcher that trains nothing and succeeds."""
