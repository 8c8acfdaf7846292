"""Import the package and print the heavy modules that are loaded."""

import sys

import persona_assets.generation

HEAVY = ("openai", "aiohttp", "httpx2", "dagster")

if __name__ == "__main__":
    assert persona_assets.generation.Engine
    print([module for module in HEAVY if module in sys.modules])
