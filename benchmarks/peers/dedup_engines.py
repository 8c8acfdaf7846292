"""Engines that find near-duplicates, this project's and its peers: from texts to duplicates.

exact, minhash  Engine of this project: edges, and the greedy pass that chooses survivors.
tokenize        Hashes of the distinct words of each text, the first stage of `exact`, and no more.
rensa           Full R-MinHash of 128, 16 bands, flags. Words are split in Python.
rensa-rho       Its fastest mode: sampled tokens, 8 bands.
rensa-hashed    `rensa` over the word hashes of `tokenize`.
rensa-dedup     Its deduplicator, which checks candidates by their signatures.
datasketch      Bulk MinHash of 128 and MinHashLSH(0.9). A row similar to a kept row is removed.
text-dedup      embed_func, its tables and its union-find, without the Hugging Face datasets between
                them.
datatrove       Its four stages, 16 buckets of 8 hashes, its own words (spaCy).

An engine returns arrays of rows:

    sets, left, right   (exact, minhash) First row with the same words, for each row, and pairs of
                        such first rows.
    dropped             (rensa-dedup, datasketch, datatrove) Rows that the engine removes.
    flagged             (rensa, rensa-rho, rensa-hashed, text-dedup) Rows similar to another row.

Importing this module needs only the standard library. Each engine imports its own packages.
"""

import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

THRESHOLD = Fraction(9, 10)  # section 2.3
SIGNATURE_SIZE = 128  # section 2.3
WORD = re.compile(r"\w+")

Duplicates = dict[str, Any]
"""Arrays by the names above, and perhaps a `note`."""

Engine = Callable[[Any], Duplicates]
"""Function from texts to duplicates."""


def joining(method: str) -> Callable[[int], Engine]:
    def prepare(threads: int) -> Engine:
        from persona_assets.dedup.lexical.lexical_join import lexical_join
        from persona_assets.dedup.survivors import choose_survivors

        def find(texts: Any) -> Duplicates:
            join = lexical_join(texts, THRESHOLD, method, threads)  # type: ignore[arg-type]
            joined = time.process_time()
            gone = choose_survivors(join.sets, join.edges).dropped()
            seconds = time.process_time() - joined
            return {
                "sets": join.sets,
                "left": join.edges.left,
                "right": join.edges.right,
                "note": f"{len(gone)} rows are removed; choosing them took {seconds:.2f} s",
            }

        return find

    return prepare


def tokenize(threads: int) -> Engine:
    from persona_assets.dedup.text.word_hashes import word_hashes

    return lambda texts: {"note": f"{len(word_hashes(texts)[0])} words"}


def tokens(texts: Sequence[str]) -> list[list[str]]:
    return [WORD.findall(text.lower()) for text in texts]


def rensa(threads: int) -> Engine:
    from rensa import RMinHash  # type: ignore[import-not-found]

    def find(texts: Sequence[str]) -> Duplicates:
        matrix = RMinHash.digest_matrix_from_token_sets(tokens(texts), SIGNATURE_SIZE, 1)
        return {"flagged": flags(matrix, bands=16)}

    return find


def rensa_rho(threads: int) -> Engine:
    from rensa import RMinHash

    def find(texts: Sequence[str]) -> Duplicates:
        matrix = RMinHash.digest_matrix_from_token_sets_rho(tokens(texts), SIGNATURE_SIZE, 1)
        return {"flagged": flags(matrix, bands=8)}

    return find


def rensa_hashed(threads: int) -> Engine:
    from rensa import RMinHash

    from persona_assets.dedup.text.word_hashes import word_hashes

    def find(texts: Any) -> Duplicates:
        began = time.process_time()
        hashes, offsets = word_hashes(texts)
        hashed = time.process_time() - began
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, SIGNATURE_SIZE, 1)
        return {
            "flagged": flags(matrix, bands=16),
            "note": f"the hashes took {hashed:.2f} s",
        }

    return find


def flags(matrix: Any, bands: int) -> list[int]:
    from rensa import RMinHashLSH

    index = RMinHashLSH(float(THRESHOLD), SIGNATURE_SIZE, bands)
    similar = index.query_duplicate_flags_matrix_one_shot(matrix)
    return [row for row, flag in enumerate(similar) if flag]


def rensa_dedup(threads: int) -> Engine:
    from rensa import RMinHashDeduplicator

    def find(texts: Sequence[str]) -> Duplicates:
        index = RMinHashDeduplicator(float(THRESHOLD), SIGNATURE_SIZE, True)
        kept = index.add_pairs((str(row), words) for row, words in enumerate(tokens(texts)))
        return {"dropped": [row for row, keep in enumerate(kept) if not keep]}

    return find


def datasketch(threads: int) -> Engine:
    from datasketch import MinHash, MinHashLSH

    def find(texts: Sequence[str]) -> Duplicates:
        words = ({word.encode() for word in WORD.findall(text.lower())} for text in texts)
        index = MinHashLSH(float(THRESHOLD), SIGNATURE_SIZE)
        dropped = []
        signatures = MinHash.bulk(map(list, words), num_perm=SIGNATURE_SIZE)
        for row, signature in enumerate(signatures):
            if index.query(signature):
                dropped.append(row)
            else:
                index.insert(row, signature)
        return {"dropped": dropped, "note": f"{index.b} bands of {index.r}, by default"}

    return find


def text_dedup(threads: int) -> Engine:
    import numpy as np
    from text_dedup.minhash import (  # type: ignore[import-not-found]
        RNG,
        SIGNATURE_COLUMN,
        UnionFind,
        embed_func,
        optimal_param,
        sha1_hash,
    )

    most, prime = np.uint32((1 << 32) - 1), np.uint64((1 << 61) - 1)
    bands, rows = optimal_param(float(THRESHOLD), SIGNATURE_SIZE, 0.5, 0.5)
    settings = {
        "num_perm": SIGNATURE_SIZE,
        "ngram_size": 1,
        "min_length": 0,
        "hashranges": [(band * rows, (band + 1) * rows) for band in range(bands)],
        "permutations": (
            RNG.randint(1, prime, size=(SIGNATURE_SIZE,), dtype=np.uint64),
            RNG.randint(0, prime, size=(SIGNATURE_SIZE,), dtype=np.uint64),
        ),
        "hash_func": sha1_hash,
        "dtype": np.uint64,
        "max_hash": most,
        "modulo_prime": prime,
    }

    def find(texts: Sequence[str]) -> Duplicates:
        tables: list[defaultdict[bytes, set[int]]] = [defaultdict(set) for _ in range(bands)]
        for row, text in enumerate(texts):
            signature = embed_func(text, row, **settings)[SIGNATURE_COLUMN]
            for table, band in zip(tables, signature, strict=True):
                table[band].add(row)
        union = UnionFind()
        for table in tables:
            for cluster in table.values():
                if len(cluster) > 1:
                    first = min(cluster)
                    for row in cluster:
                        union.union(row, first)
        note = f"{bands} bands of {rows}, by default"
        return {"flagged": sorted(union.parent), "note": note}

    return find


def datatrove(threads: int) -> Engine:
    from datatrove.data import Document  # type: ignore[import-not-found]
    from datatrove.pipeline.dedup import (  # type: ignore[import-not-found]
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.utils.hashing import HashConfig  # type: ignore[import-not-found]
    from loguru import logger  # type: ignore[import-not-found]

    logger.remove()
    # Its default, xxhash, fails with version 4 of that library.
    config = MinhashConfig(1, 16, 8, hash_config=HashConfig(hash_fc="sha1"))

    def find(texts: Sequence[str]) -> Duplicates:
        documents = [Document(text, str(row)) for row, text in enumerate(texts)]
        with tempfile.TemporaryDirectory() as folder:
            signatures, buckets, gone = (f"{folder}/{name}" for name in ("s", "b", "r"))
            MinhashDedupSignature(signatures, config).run(documents, 0, 1)
            for bucket in range(config.num_buckets):
                step = MinhashDedupBuckets(signatures, buckets, config=config)
                step.run(None, bucket, config.num_buckets)
            MinhashDedupCluster(buckets, gone, config=config).run(None, 0, 1)
            kept = {int(document.id) for document in MinhashDedupFilter(gone).run(documents, 0, 1)}
        return {"dropped": [row for row in range(len(texts)) if row not in kept]}

    return find


ENGINES: dict[str, tuple[Callable[[int], Engine], str, bool]] = {
    "exact": (joining("exact"), "persona_assets", True),
    "minhash": (joining("minhash"), "persona_assets", True),
    "tokenize": (tokenize, "persona_assets", True),
    "rensa": (rensa, "rensa", False),
    "rensa-rho": (rensa_rho, "rensa", False),
    "rensa-hashed": (rensa_hashed, "rensa", True),
    "rensa-dedup": (rensa_dedup, "rensa", False),
    "datasketch": (datasketch, "datasketch", False),
    "text-dedup": (text_dedup, "text-dedup", False),
    "datatrove": (datatrove, "datatrove", False),
}
"""Factory of each engine, its distribution, and whether it takes an Arrow array of texts."""
