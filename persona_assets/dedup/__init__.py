"""Near-duplicate removal for short texts, without Dagster: words, pairs, survivors.

    from persona_assets.dedup.lexical import lexical_join
    from persona_assets.dedup.survivors import survivors

    join = lexical_join(texts, Fraction(9, 10))            # texts: a list, or an Arrow array
    stay = survivors(join.sets, join.edges)                # stay.row[i]: the text that stands for i

From text to pairs of words: words (what a word is), folding, tokens, partenum or minhash (keys),
join, identical, lexical. From vectors to pairs: signs, cosine. From pairs to decisions: survivors.
Between runs: columns, word_sets, index. On a cluster: spark.

Nothing is imported here: `words` is needed at start-up, and must not bring numpy with it.
"""
