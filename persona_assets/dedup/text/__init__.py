"""Texts as kernels see them: UTF-8 buffers, case folding, words and their hashes.

`words.py` defines a word in plain Python; everything else computes the same, faster.
"""
