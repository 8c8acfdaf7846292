-- How many rows has each asset made, and how many has it dropped?
SELECT asset, count(*) AS tables, sum(row_count)::BIGINT AS rows,
    sum(list_sum(list_transform(json_keys(dropped), lambda k: (dropped ->> k)::BIGINT)))::BIGINT AS dropped
FROM materializations GROUP BY asset ORDER BY rows DESC, asset LIMIT 8;

-- Why were rows dropped?
SELECT asset, split_part(reason, ':', 1) AS reason, count(*) AS n
FROM quarantine GROUP BY ALL ORDER BY n DESC, asset LIMIT 8;

-- What did each model cost?
SELECT model, sum(calls)::BIGINT AS calls, sum(failed)::BIGINT AS failed,
    sum(input_tokens)::BIGINT AS input, sum(output_tokens)::BIGINT AS output,
    sum(cost_usd)::DOUBLE AS usd, sum(unpriced)::BIGINT AS unpriced
FROM usage GROUP BY model ORDER BY calls DESC;

-- What does a published row of each task cost, its own calls alone?
SELECT asset, m.rows, u.calls, (u.usd / m.rows)::DOUBLE AS usd_a_row
FROM (SELECT asset, sum(calls)::BIGINT AS calls, sum(cost_usd) AS usd FROM usage GROUP BY asset) u
JOIN (SELECT asset, sum(row_count)::BIGINT AS rows FROM materializations GROUP BY asset) m USING (asset)
WHERE m.rows > 0 ORDER BY u.calls DESC LIMIT 8;

-- Which hops and relations does the hub consist of?
SELECT hop, coalesce(relation, '(of a text)') AS relation, count(*) AS personas
FROM persona_hub GROUP BY ALL ORDER BY hop, personas DESC, relation LIMIT 8;

-- Which share of the candidates of each hop has reached the hub?
SELECT c.hop, count(*) AS candidates, count(h.persona_id) AS in_hub,
    round(count(h.persona_id) / count(*), 2) AS share
FROM (SELECT persona_id, 0 AS hop FROM text_personas UNION ALL
      SELECT persona_id, hop FROM hop_1_personas) c
LEFT JOIN persona_hub h USING (persona_id) GROUP BY c.hop ORDER BY c.hop;

-- Which texts have led to the most personas?
SELECT left(r.text, 60) AS text, count(*) AS personas
FROM raw_corpus r JOIN text_personas p ON p.parent_id = r.text_id
GROUP BY r.text_id, r.text ORDER BY personas DESC, text LIMIT 5;

-- From which text has this persona come, by which steps?
SELECT step, asset, shard, left(content ->> '$.persona', 60) AS persona
FROM trace((SELECT min(persona_id) FROM persona_hub)) ORDER BY step;

-- How many rows of each table come from this text?
SELECT asset, count(*) AS n
FROM affected_by((SELECT min(text_id) FROM raw_corpus)) GROUP BY asset ORDER BY n DESC, asset LIMIT 8;

-- Why is this persona not in the hub?
SELECT step, asset, outcome, reason, left(text, 50) AS text
FROM why((SELECT min(id) FROM quarantine WHERE asset IN ('persona_hub', 'lexical_survivors')))
ORDER BY step LIMIT 6;

-- Which pairs were just similar enough to be duplicates?
SELECT round(d.similarity, 2) AS similarity, left(p.persona, 45) AS persona,
    left(s.persona, 45) AS survivor
FROM lexical_duplicates d
JOIN persona_candidates c ON c.persona_id = d.persona_id
JOIN (SELECT persona_id, persona FROM text_personas UNION SELECT persona_id, persona FROM hop_1_personas) p
    ON p.persona_id = d.persona_id
JOIN (SELECT persona_id, persona FROM text_personas UNION SELECT persona_id, persona FROM hop_1_personas) s
    ON s.persona_id = d.survivor_id
ORDER BY d.similarity LIMIT 5;

-- Which survivors stand for the most duplicates?
SELECT survivor_id[:8] AS survivor, count(*) AS duplicates, round(min(similarity), 2) AS least
FROM (SELECT survivor_id, similarity FROM lexical_duplicates UNION ALL
      SELECT survivor_id, similarity FROM semantic_duplicates)
GROUP BY survivor_id ORDER BY duplicates DESC, survivor LIMIT 5;

-- Which response stands behind this persona, and what did it cost?
SELECT c.model, c.input_tokens, c.output_tokens, c.cost_usd::DOUBLE AS usd, left(c.body, 60) AS body
FROM text_personas p JOIN completions c ON c.key = p.completion_id AND c.asset = 'text_personas'
ORDER BY p.persona_id LIMIT 1;

-- Which licences does the hub carry?
SELECT coalesce(licence, '(unknown)') AS licence, count(*) AS personas
FROM persona_hub GROUP BY ALL ORDER BY personas DESC;

-- Which languages are the samples in?
SELECT coalesce(language, '(not recognised)') AS language, count(*) AS problems
FROM math_problems GROUP BY ALL ORDER BY problems DESC;

-- Which share of the samples of each task passes, and is it better than before?
SELECT task, n, of, round(share, 3) AS share, round(low, 3) AS low, round(high, 3) AS high, change
FROM task_reports WHERE measure = 'pass_rate' ORDER BY task LIMIT 8;

-- Which prompts, in which versions, have made the tables?
SELECT prompt, prompt_versions ->> prompt AS version, count(*) AS tables
FROM (SELECT prompt_versions, unnest(json_keys(prompt_versions)) AS prompt FROM materializations)
GROUP BY ALL ORDER BY tables DESC, prompt LIMIT 8;

-- Which problems were solved, and by how many votes?
SELECT left(t.problem, 60) AS problem, left(t.answer, 20) AS answer, s.votes, s.solutions
FROM math_train t JOIN math_solutions s USING (sample_id) ORDER BY sample_id LIMIT 5;

-- How accurate is each trained model, with its interval?
SELECT training_size, examples, n, correct, round(accuracy, 3) AS accuracy,
    round(low, 3) AS low, round(high, 3) AS high, truncated, unparseable
FROM math_accuracy ORDER BY training_size;

-- Which problems were answered wrongly, and how?
SELECT r.subject, r.level, r.outcome, left(r.expected, 20) AS expected, left(r.given, 20) AS given
FROM (SELECT unnest(results) AS r FROM math_accuracy)
WHERE r.outcome <> 'correct' ORDER BY r.problem_id LIMIT 5;

-- Which tables were made from which versions of their inputs?
SELECT asset, upstream_asset, count(*) AS tables, count(DISTINCT upstream_data_version) AS versions
FROM lineage GROUP BY ALL ORDER BY tables DESC, asset, upstream_asset LIMIT 5;
