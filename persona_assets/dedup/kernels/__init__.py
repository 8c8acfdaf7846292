"""Compilation of inner loops, and the instructions that they share."""
