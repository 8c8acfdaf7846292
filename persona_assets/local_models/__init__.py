"""Models that run on this machine: weights and their hashes, a chat server, an embedder.

Heavy packages (onnxruntime, xllamacpp, numpy) are imported inside the functions that need them.
"""
