"""Send calls without end; on an interrupt, print how many answers the journal holds.

run_until_interrupted URL JOURNAL
"""

import sys

from persona_assets.generation import Endpoint, Engine, Journal
from persona_assets_tests.generation.sample_calls import call


def main(url: str, path: str) -> None:
    endpoint = Endpoint(model="test-model", base_url=url, api_key_env=None, concurrency=4)
    with Journal(path) as journal:
        try:
            for _ in Engine(endpoint, journal).send(call(f"row {n}") for n in range(100_000)):
                pass
        except KeyboardInterrupt:
            print("interrupted", len(journal))


if __name__ == "__main__":
    main(*sys.argv[1:])
