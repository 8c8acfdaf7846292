"""Print a histogram of a few similarities, and whether its import alone loaded matplotlib."""

import json
import sys

import polars as pl

from persona_assets.plots.histogram import draw_similarity_histogram

SIMILARITIES = pl.Series([0.9, 0.95, 1.0])
TITLE = "Similarity of lexical duplicates"


def main() -> None:
    is_matplotlib_loaded = "matplotlib" in sys.modules
    picture = draw_similarity_histogram(SIMILARITIES, 0.9, TITLE)
    print(json.dumps({"matplotlib": is_matplotlib_loaded, "picture": picture}))


if __name__ == "__main__":
    main()
