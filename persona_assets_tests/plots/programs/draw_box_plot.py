"""Print a box plot of a small report, and whether its import alone loaded matplotlib, as JSON."""

import json
import sys

import polars as pl

from persona_assets.plots.box_plot import draw_box_plot

REPORT = pl.DataFrame(
    {"panel": ["a", "b"] * 3, "bucket": [0.4] * 6, "problem_similarity": [0.1, 0.2, 0.5] * 2}
)


def main() -> None:
    is_matplotlib_loaded = "matplotlib" in sys.modules
    picture = draw_box_plot(REPORT)
    print(json.dumps({"matplotlib": is_matplotlib_loaded, "picture": picture}))


if __name__ == "__main__":
    main()
