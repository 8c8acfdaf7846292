"""Storage of paid responses: journals of running tables and the Parquet files that follow them.

Belongs here: the format of a record, durability, look-up by key. Does not belong here: sending
calls, prices, and the meaning of a response.
"""
