"""A run in a process of its own, to be killed: sends `row 0` ... and writes what came back.

python -m persona_assets_tests.generation.child URL JOURNAL ROWS CONCURRENCY RESULT
"""

import json
import os
import sys
from pathlib import Path

from persona_assets.generation import Endpoint, Engine, Journal
from persona_assets_tests.generation.sample_calls import KEY_VARIABLE, call


def main(url: str, path: str, rows: str, concurrency: str, result: str) -> None:
    os.environ[KEY_VARIABLE] = "sk-of-the-child"
    endpoint = Endpoint(
        model="test-model",
        base_url=url,
        api_key_env=KEY_VARIABLE,
        concurrency=int(concurrency),
    )
    with Journal(path) as journal:
        engine = Engine(endpoint, journal)
        records = [record.key for record in engine.send(call(f"row {n}") for n in range(int(rows)))]
        Path(result).write_text(json.dumps({"keys": records, "calls": engine.usage.calls}))


if __name__ == "__main__":
    main(*sys.argv[1:])
