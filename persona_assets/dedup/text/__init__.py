"""Texts as the kernels read them: UTF-8 buffers, case folding, words and word hashes.

`words.py` defines a word in plain Python. The other modules compute the same words faster.
"""
