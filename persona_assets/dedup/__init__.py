"""Near-duplicate removal for short texts, without Dagster: words, pairs, survivors.

    from persona_assets.dedup.lexical import lexical_join
    from persona_assets.dedup.survivors import survivors

    join = lexical_join(texts, Fraction(9, 10))            # texts: a list, or an Arrow array
    stay = survivors(join.sets, join.edges)                # stay.row[i]: the text that stands for i

From texts to their words: words (what a word is), strings, characters, folding, tokens, overlap.
From words to pairs: partenum or minhash (keys), partitions, identical, buckets, candidates, verify,
join, lexical. From vectors to pairs: units, signs, lsh or products, cosine. From pairs to
decisions: edges, survivors. Between runs: columns, word_sets or vectors, index. On a cluster:
spark. Beneath: kernels, simd, lanes.

Nothing is imported here: `words` is needed at start-up, and must not bring numpy with it.
"""
