"""Send 500 calls under a cap of 4 US dollars, and print "reached" if the cap ends the run.

python -m persona_assets_tests.generation.programs.capped_run URL FOLDER NAME
"""

import sys
from pathlib import Path

from persona_assets.generation import BudgetReached, Endpoint
from persona_assets_tests.generation.money.capped_calls import PRICE, capped_calls, send_capped


def main(url: str, folder: str, name: str) -> None:
    endpoint = Endpoint(
        model="test-model", base_url=url, api_key_env=None, price=PRICE, concurrency=16
    )
    try:
        send_capped(endpoint, Path(folder), capped_calls(500, name), "4", name)
    except BudgetReached:
        print("reached")


if __name__ == "__main__":
    main(*sys.argv[1:])
