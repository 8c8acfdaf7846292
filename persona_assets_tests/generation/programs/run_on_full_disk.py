"""Send 500 calls while no file may exceed 20,000 bytes; print the system's error.

run_on_full_disk URL JOURNAL
"""

import resource
import sys

from persona_assets.generation import Endpoint, Engine, Journal
from persona_assets_tests.generation.sample_calls import call


def main(url: str, path: str) -> None:
    endpoint = Endpoint(model="test-model", base_url=url, api_key_env=None, concurrency=4)
    with Journal(path) as journal:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            list(Engine(endpoint, journal).send(call(f"row {n}") for n in range(500)))
        except OSError as error:
            print(error.strerror)


if __name__ == "__main__":
    main(*sys.argv[1:])
