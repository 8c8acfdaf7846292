"""Output of all benchmarks: JSON lines."""

import json
from collections.abc import Mapping
from typing import Any


def print_figures(figures: Mapping[str, Any], digits: int = 3) -> None:
    """Print figures as a JSON object on a line, floats rounded to `digits` decimals."""
    print(json.dumps(_rounded(figures, digits)), flush=True)


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(member, digits) for name, member in value.items()}
    return round(value, digits) if isinstance(value, float) else value
