"""Kernel compilation, and the instructions and loops that kernels share."""
