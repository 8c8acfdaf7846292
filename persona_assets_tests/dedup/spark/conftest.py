"""Settings of Java for Spark tests: fast start instead of optimized code, for runs of seconds."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def quick_java() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield
