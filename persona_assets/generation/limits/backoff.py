"""Pauses between attempts: full jitter ("Exponential Backoff And Jitter", AWS Architecture Blog,
2015)."""

import random

FIRST = 0.5
"""Upper bound, in seconds, of the pause before any failure has occurred."""


def jitter(failures: int, most: float) -> float:
    """Return a random pause in seconds, uniform in [0, min(most, FIRST * 2**failures)].

    Args:
        failures: Number of earlier failures.
        most: Upper bound of the pause in seconds.

    Example:
        >>> 0.0 <= jitter(3, 30.0) <= 4.0
        True
    """
    return random.uniform(0, min(most, FIRST * 2 ** min(failures, 16)))
