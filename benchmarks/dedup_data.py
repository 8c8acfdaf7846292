"""Personas for the benchmark of deduplication, some of them near-duplicates.

Each row joins the head of a persona, the tail of another persona and a few pseudo-words drawn by
Zipf's law: about 121 bytes, and 10, 17 and 27 words at the 10th, 50th and 90th percentile. A tenth
of the rows are planted near-duplicates, 2 % for each similarity of `PLANTED`, at random places.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

PLANTED = (1.0, 0.95, 0.9, 0.85, 0.6)
"""Jaccard similarities of planted rows. 1 changes case, punctuation and order of the words."""

PLANTED_SHARE = 0.02
"""Share of all rows, per similarity."""

PSEUDO_WORDS = 400_000
EXPONENT = 0.9
"""Exponent of Zipf's law."""

SHORTEST = 4
"""Least words of a head, and characters of a piece of text without spaces."""

BLOCK = 250_000
"""Rows generated at a time."""

VARIANTS = 4
"""Ways to write a word: plain, in capitals, before a comma, in capitals and quoted."""

HEADS = (
    "A retired harbour pilot",
    "A middle school librarian",
    "A third-generation beekeeper",
    "A night-shift nurse in a small rural hospital",
    "A freelance cartographer",
    "A young electrician",
    "A professor of medieval history",
    "A street musician from a port town",
    "A mother of three teenagers",
    "A data analyst at a water utility",
    "A cheese maker in the mountains",
    "A former sprinter turned physiotherapist",
    "A railway signalling engineer",
    "An amateur astronomer",
    "An immigration lawyer",
    "An apprentice violin maker",
    "A wheelchair user and keen gardener",
    "A park ranger",
    "A union organiser at a textile mill",
    "A children's book illustrator",
    "A bus driver studying at night",
    "A seismologist",
    "A village mayor",
    "A sound technician for travelling theatre",
    "A pastry chef",
    "A volunteer firefighter",
)
TAILS = (
    "who restores wooden boats at weekends",
    "who collects recordings of vanishing dialects",
    "who is writing a guide to the wild mushrooms of the region",
    "who wants to lower the cost of heating for elderly neighbours",
    "who distrusts any figure without a source",
    "who teaches chess to beginners online",
    "who has lived on four continents and speaks five languages",
    "who keeps a weather diary since childhood",
    "who campaigns for safer cycle paths",
    "who is learning to program in order to automate the stock list",
    "who photographs abandoned factories",
    "who mentors young people on their first job",
    "who plans to open a repair workshop with friends",
    "who follows the local football club, win or lose",
    "who translates poetry for a tiny publisher",
    "who breeds an old variety of apples",
    "who struggles to balance work and the care of a parent",
    "who prefers maps on paper",
    "who runs marathons on four hours of sleep",
    "who organises the yearly science fair of the district",
    "who sings in a choir and hates the summer heat",
    "who repairs radios from the valve era",
    "who asks hard questions at public meetings",
    "who saves for a long journey by train",
    "who believes in slow and careful work",
    "who has strong opinions on bread",
    "who moderates a forum on home energy",
    "who knits socks for half of the street",
    "who designs puzzles for a newspaper",
    "who keeps bees on the roof of an office block",
    "who compares the ethics of new technologies",
    "who looks after a small museum of tools",
    "who reads old trial records for pleasure",
    "who has just become a grandparent",
)

Array = npt.NDArray[Any]
Ragged = tuple[Array, Array]
"""Elements of all rows, concatenated, and the number of elements of each row."""


def dataset(rows: int, seed: int, personas: Path | None, cache: Path) -> Path:
    """Return an Arrow file of texts, one batch with the column `text`, written unless it exists.

    The name of the file holds a hash of all arguments and of this module's source.

    Args:
        rows: Number of texts.
        personas: JSONL file with an "input persona" in each row. None for the fragments above.
        cache: Folder of the file.
    """
    lines = personas.read_bytes() if personas else b""
    content = Path(__file__).read_bytes() + lines + f"{rows} {seed}".encode()
    path = cache / f"personas-{rows}-{hashlib.sha256(content).hexdigest()[:12]}.arrow"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        column = texts(rows, seed, base_personas(lines.splitlines()))
        scratch = path.with_suffix(".tmp")
        batch = pa.record_batch([column], ["text"])
        with pa.OSFile(str(scratch), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
        scratch.replace(path)
    return path


def base_personas(lines: Iterable[bytes]) -> list[str]:
    """Return the personas of JSON lines, or, without lines, all combinations of the fragments."""
    personas = [json.loads(line)["input persona"] for line in lines]
    return personas or [f"{head} {tail}" for head, tail in product(HEADS, TAILS)]


def texts(rows: int, seed: int, personas: Sequence[str]) -> Any:
    """Generate a pyarrow array of strings, the same for the same arguments."""
    random = np.random.default_rng(seed)
    split = [pieces(persona) for persona in personas]
    surface, flat = np.unique(np.concatenate(split), return_inverse=True)
    lengths = np.array([len(words) for words in split])
    vocabulary = [*surface.tolist(), *pseudo_words()]
    corpus = (flat.astype(np.int32), lengths)
    copies = int(rows * PLANTED_SHARE)
    blocks = [
        recombined(random, min(BLOCK, rows - copies * len(PLANTED) - start), corpus, len(surface))
        for start in range(0, rows - copies * len(PLANTED), BLOCK)
    ]
    base = stacked(blocks)
    near = [planted(random, copies, base, target, len(surface)) for target in PLANTED]
    return rendered(stacked([base, *near]), random.permutation(rows), vocabulary)


def pieces(persona: str) -> list[str]:
    """Split a persona into words, or, in a script without spaces, into groups of characters."""
    words = persona.split()
    if len(words) > SHORTEST:
        return words
    return [persona[start : start + SHORTEST] for start in range(0, len(persona), SHORTEST)]


def pseudo_words() -> list[str]:
    """Return distinct words of two or three syllables that occur together in no language."""
    syllables = [a + b for a, b in product("bdfgjklmnprstvwxyzqh", "aeiou")]
    pairs = [a + b for a, b in product(syllables, syllables)]
    longer = [syllable + pair for syllable in syllables for pair in pairs]
    return [word + "nsrl"[i % 4] for i, word in enumerate([*pairs, *longer][:PSEUDO_WORDS])]


def zipf(random: np.random.Generator, lengths: Array, first: int) -> Ragged:
    """Draw `lengths` pseudo-words for each row. Their ids begin at `first`."""
    share = np.cumsum(np.arange(1, PSEUDO_WORDS + 1) ** -EXPONENT)
    drawn = np.searchsorted(share, random.random(int(lengths.sum())) * share[-1])
    return (drawn + first).astype(np.int32), lengths


def recombined(random: np.random.Generator, rows: int, corpus: Ragged, first: int) -> Ragged:
    """Join heads and tails of the corpus and pseudo-words, whose ids begin at `first`."""
    flat, lengths = corpus
    ends = np.cumsum(lengths)
    head, tail = random.integers(0, len(lengths), (2, rows))
    front = np.ceil((0.2 + 0.8 * random.random(rows)) * lengths[head]).astype(np.int64)
    # A head of "A" or "The" alone would make rows more alike, the more rows are drawn.
    front = np.maximum(front, np.minimum(lengths[head], SHORTEST))
    back = (random.random(rows) * lengths[tail]).astype(np.int64)
    return joined(
        (slices(flat, ends[head] - lengths[head], front), front),
        (slices(flat, ends[tail] - back, back), back),
        zipf(random, random.geometric(1 / 4, rows) - 1, first),
    )


def planted(
    random: np.random.Generator, rows: int, base: Ragged, target: float, first: int
) -> Ragged:
    """Make rows at about the similarity `target` to rows of `base`: drop words, append others."""
    flat, lengths = base
    starts = np.cumsum(lengths) - lengths
    source = random.integers(0, len(lengths), rows)
    size = lengths[source]
    words = slices(flat, starts[source], size)
    row = np.repeat(np.arange(rows), size)
    shuffled = np.argsort(row + random.random(len(row)))
    if target == 1:
        variant = random.integers(0, VARIANTS, len(words), dtype=np.int32)
        return words[shuffled] + variant * (first + PSEUDO_WORDS), size
    # Of n words b are dropped, and a are new: the similarity is (n - b) / (n + a).
    edits = np.maximum(np.rint(2 * size * (1 - target) / (1 + target)), 1).astype(np.int64)
    dropped = np.minimum(random.binomial(edits, 0.5), size - 1)
    rank = np.empty(len(words), np.int64)
    rank[shuffled] = np.arange(len(words)) - np.repeat(np.cumsum(size) - size, size)
    left = (words[rank >= dropped[row]], size - dropped)
    return joined(left, zipf(random, edits - dropped, first))


def slices(flat: Array, starts: Array, lengths: Array) -> Array:
    """Concatenate flat[start : start + length] of all starts."""
    before = np.cumsum(lengths) - lengths
    return flat[np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))]


def joined(*parts: Ragged) -> Ragged:
    """Concatenate the parts of each row."""
    lengths = np.sum([length for _, length in parts], axis=0)
    flat = np.empty(int(lengths.sum()), np.int32)
    place = np.cumsum(lengths) - lengths
    for elements, length in parts:
        before = np.cumsum(length) - length
        flat[np.repeat(place - before, length) + np.arange(len(elements))] = elements
        place = place + length
    return flat, lengths


def stacked(parts: Sequence[Ragged]) -> Ragged:
    """Concatenate the rows of all parts."""
    return (
        np.concatenate([flat for flat, _ in parts]),
        np.concatenate([lengths for _, lengths in parts]),
    )


def rendered(rows: Ragged, order: Array, vocabulary: Sequence[str]) -> Any:
    """Write rows of word ids as texts, in a new order."""
    upper = [word.upper() for word in vocabulary]
    comma, quoted = [f"{word}," for word in vocabulary], [f'"{word}"' for word in upper]
    surface = pa.array([*vocabulary, *upper, *comma, *quoted])
    flat, lengths = rows
    starts = np.cumsum(lengths) - lengths
    blocks = []
    for block in np.array_split(order, -(-len(order) // BLOCK)):
        ends = np.concatenate([[0], np.cumsum(lengths[block])]).astype(np.int32)
        ids = slices(flat, starts[block], lengths[block])
        words = pa.ListArray.from_arrays(pa.array(ends), surface.take(pa.array(ids)))
        blocks.append(pc.binary_join(words, " "))
    return pa.concat_arrays(blocks)
