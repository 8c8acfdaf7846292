"""Datasets for others: a folder that `datasets.load_dataset` reads, with a card and a manifest.

Belongs here: selection by licence, formats of fine-tuning libraries, card, manifest, upload. Does
not belong here: the tables themselves, which no publication changes.
"""
