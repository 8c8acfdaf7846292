"""Pauses between attempts: full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog,
2015)."""

import random

FIRST = 0.5


def jitter(failures: int, most: float) -> float:
    """Seconds, uniform in [0, min(most, FIRST * 2**failures)], after so many earlier failures."""
    return random.uniform(0, min(most, FIRST * 2 ** min(failures, 16)))
