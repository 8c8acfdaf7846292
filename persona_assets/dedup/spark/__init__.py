"""The lexical join on Spark, for hubs that no one machine holds: the sets and pairs of `lexical`.

A word set travels as text, each word once and in one order: equal sets are equal texts. Its tag has
64 bits, 40 of parity bitmap and 24 of hash, and says where the set lives: texts are shuffled once,
by tag, and stay there; only keys, and pairs that may be similar, move from then on. Keys travel as
(key, tag) in blocks, 16 bytes each, and where they meet the tags' bitmaps leave few pairs. Sets
that share a tag cost time and change no result: the words decide, in integers.

From the outside in: job (the program), session, join, rows (of files, by number), frames (what a
driver does), tasks (what is done to their rows), batches (of rows, as arrays), kernels; report.
"""
