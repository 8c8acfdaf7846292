"""Ask a model once per request, against any OpenAI-compatible endpoint, without a project.

    export OPENAI_API_KEY=...
    python examples/paid_calls.py --model gpt-4o-mini
    python examples/paid_calls.py --model gpt-4o-mini    # the same answers, 0 calls

Each response is on disk before it is parsed. A kill costs at most the calls in flight, and a
response that was paid for is never requested again.
"""

import argparse
from contextlib import closing
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, Field

from persona_assets import (
    Budget,
    Endpoint,
    EndpointError,
    Engine,
    Journal,
    Ledger,
    Price,
    Request,
    SpendingCap,
    complete,
)

TEXTS = [
    "The swifts came back to the mill on the third of May, two days early.",
    "The bell you cast for us cracked in the first frost.",
    "Sourdough wants a warm night and a cold morning.",
]


class Reader(BaseModel):
    """Form of each answer."""

    persona: str = Field(min_length=10)


def request_for(text: str) -> Request:
    """Return the request for one text."""
    question = f'Who would read this text? Answer as JSON: {{"persona": "..."}}\n\n{text}'
    return Request(
        role="writer",
        messages=({"role": "user", "content": question},),
        sampling={"temperature": 0.7, "max_tokens": 200},
        output=Reader,
        format="json",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--base-url", help="default: that of the openai package")
    parser.add_argument("--folder", type=Path, default=Path("paid_calls"))
    parser.add_argument("--limit", type=Decimal, default=Decimal("0.10"), help="US dollars")
    parser.add_argument("--price", type=Decimal, nargs=2, metavar=("INPUT", "OUTPUT"))
    options = parser.parse_args()

    price = Price(input=options.price[0], output=options.price[1]) if options.price else None
    endpoint = Endpoint(model=options.model, base_url=options.base_url, price=price)
    options.folder.mkdir(parents=True, exist_ok=True)
    cap = SpendingCap("example", options.limit, "--limit")
    with (
        closing(Budget(Ledger(options.folder / "ledger.sqlite"), [cap])) as budget,
        Journal(options.folder / "answers.jsonl") as journal,
    ):
        engine = Engine(endpoint, journal, budget=budget)
        try:
            for answer in complete(map(request_for, TEXTS), engine):
                print(answer.status, answer.value or answer.reason)
        except EndpointError as error:
            raise SystemExit(str(error)) from None
        print(f"{engine.usage.calls} calls, {engine.usage.replayed} from the journal")


if __name__ == "__main__":
    main()
