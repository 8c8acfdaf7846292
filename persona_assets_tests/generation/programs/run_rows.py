"""Send "row 0", "row 1" ... and write the keys of the records to a file; made to be killed.

run_rows URL JOURNAL ROWS CONCURRENCY RESULT
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
        keys = [record.key for record in engine.send(call(f"row {n}") for n in range(int(rows)))]
        Path(result).write_text(json.dumps({"keys": keys, "calls": engine.usage.calls}))


if __name__ == "__main__":
    main(*sys.argv[1:])
