"""Texts of 100 kB on which a parser that looks back or ahead without a bound takes minutes."""

import itertools

UNITS = (
    *("{", "[", '"', "'", "\\", '\\"', "\\(", "$", "`", "```", "\n", " ", ",", ":", "/*", "// "),
    *("{}", "[]", '{"a":', '{"a": "', '{"a":1 ', "{'a': ", "[1 ", '{"a" "b" ', '","', '"\n"', "“"),
    *("<think>", "</think>", "<think></think>", "a</think>", "<s>", "</s>", "</s> x", "<|im_end|>"),
    *(
        "<|channel|>",
        "<|channel|>final<|message|>",
        "<|start|>assistant",
        "[THINK]",
        "<",
        "◁think▷",
    ),
    *("\\nu ", "\\ni ", "\\theta", "\\u", "\ttheta", "analysis", "assistantfinal", "..."),
)
AROUND = (
    *(("", ""), ("x ", ""), ("<think>", ""), ('{"a": "', '"}'), ('{"a": ', "}"), ('{"a": [', "]}")),
    *(('"', '"'), ('{"a": "$', '$"}'), ("<|start|>", ""), ("```json\n", "\n```")),
)

HOSTILE = [
    before + (unit * (100_000 // len(unit))) + after
    for unit, (before, after) in itertools.product(UNITS, AROUND)
]
