"""The lexical join on Spark, for hubs that do not fit on a machine; same result as `lexical`.

A word set is represented as text, each word once and in a fixed order, so that equal sets are equal
texts. Its tag, 40 bits of parity bitmap and 24 bits of hash, selects its partition. Texts are
shuffled once, by tag, and stay in place; afterwards only keys and candidate pairs are shuffled.
Keys are shuffled in blocks of (key, tag), 16 bytes each, and in each bucket the tags' bitmaps rule
out most pairs. Different sets with the same tag cost time but do not change the result, because the
words decide, in integers.

Modules from the outside in: `spark_job` (program), `spark_session`, `spark_join`, `parquet_rows`
(row numbers), `dataframes` (driver), `arrow_tasks` (executors), `arrow_batches` (record batches as
arrays), `spark_kernels`, and `join_report`.
"""
