"""Models that run on this machine: weights and their hashes, a chat server, an embedder.

Does not belong here: the resources that assets receive (`resources/models.py`). Heavy packages
(onnxruntime, xllamacpp, numpy) are imported inside the functions that need them.
"""
