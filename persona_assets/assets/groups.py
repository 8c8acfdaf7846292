"""Groups of assets in the UI, in the order of the work: the purpose of each."""

HOPS = "personas/hops"
"""Group of the rounds of expansion. Each round reads all before it; the graph shows them folded."""

GROUPS = {
    "corpus": "the texts and ready personas to start from, a shard per file.",
    "personas": "who reads or writes each text, who is close to them, and a quality filter.",
    HOPS: "six rounds from persona to persona, each of which reads all rounds before it.",
    "hub": "the personas that differ from all others, in words and in meaning, and their map. "
    "`persona-assets explore` serves a page to search them.",
    "datasets": "what the personas ask, write and know: a table for each file in `prompts/tasks/`.",
    "samples": "the samples of each task that differ from the others and pass its judge.",
    "math": "solved problems, as a training set and a test set, apart from the benchmarks.",
    "model": "models tuned on the training sets, and their accuracy beside that of other models.",
    "analysis": "how diverse the personas and samples are, and what personas have to do with it.",
    "reports": "what passes of each task, and why the rest is dropped. `persona-assets report` "
    "writes a page on the whole project.",
}
"""Sentence on each group, which follows the description of its assets in the UI."""


def with_purpose(description: str | None, group: str | None) -> str | None:
    """Return the description of an asset with a paragraph on its group, if the group is known.

    Example:
        >>> print(with_purpose("Web text.", "corpus"))
        Web text.
        <BLANKLINE>
        Group `corpus`: the texts and ready personas to start from, a shard per file.
    """
    purpose = GROUPS.get(group or "")
    return f"{description}\n\nGroup `{group}`: {purpose}" if purpose else description
