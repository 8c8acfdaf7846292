"""Checks of the program: versions of its packages, files that hide modules, the UI's port."""

import socket
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from persona_assets.diagnosis.finding import Finding, fault, well

PACKAGE = "persona_assets"


def check_versions() -> Iterator[Finding]:
    """Compare the installed packages with the requirements of this one."""
    unmet = list(unmet_requirements())
    for sentence in unmet:
        yield fault("packages", sentence, f"pip install --upgrade {PACKAGE}")
    if not unmet:
        python = ".".join(map(str, sys.version_info[:3]))
        main = ", ".join(f"{name} {version(name)}" for name in ("dagster", "duckdb", "polars"))
        yield well("packages", f"{PACKAGE} {version(PACKAGE)}, Python {python}, {main}")


def unmet_requirements() -> Iterator[str]:
    """Yield a sentence per requirement, without those of extras, that is not installed as asked."""
    for line in requires(PACKAGE) or ():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            yield f"{requirement.name} is not installed, and {requirement} is required"
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            yield f"{requirement.name} {found} is installed, and {requirement} is required"


def check_modules(folder: Path) -> Iterator[Finding]:
    """Look for files in the working folder that hide modules."""
    hiding = list(hiding_files(folder))
    for path, module in hiding:
        yield fault(
            "modules",
            f"{path} hides the module {module}, which the Dagster UI imports from this folder",
            "rename it, or start the command in another folder",
        )
    if not hiding:
        yield well("modules", f"no file of {folder} hides a module")


def require_own_modules(folder: Path) -> None:
    """Make sure that no file of the working folder hides a module.

    Raises:
        FileExistsError: A file does; the message names the first.
    """
    for path, module in hiding_files(folder):
        raise FileExistsError(
            f"{path} hides the module {module}, which the Dagster UI imports from this folder: "
            "rename it, or start the command in another folder"
        )


def require_free_port(port: int) -> None:
    """Make sure that a server can listen at a port of 127.0.0.1.

    Raises:
        OSError: The port is taken, or not allowed.
    """
    with socket.socket() as listener:
        # As the UI's own server does: a port whose last server has just ended is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise OSError(
                f"port {port} of 127.0.0.1 cannot be served ({error}): end the program that uses "
                f"it, or choose another, such as persona-assets ui --port {port % 60_000 + 1}"
            ) from None


def hiding_files(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file or package of a folder that hides an installed module of the same name.

    `python -m dagster`, by which Dagster starts its processes, imports from the working folder
    first.

    Args:
        folder: Working folder.
    """
    here = folder.resolve()
    others = [place for place in sys.path if Path(place).resolve() != here]
    for path in sorted(folder.iterdir()):
        name = path.stem if path.suffix == ".py" else path.name
        if not name.isidentifier():
            continue
        own = PathFinder.find_spec(name, [str(here)])
        # A folder without __init__.py hides nothing: regular packages come first.
        if own is None or own.origin is None:
            continue
        installed = PathFinder.find_spec(name, others)
        elsewhere = installed is not None and installed.origin not in (None, own.origin)
        if elsewhere or (installed is None and name in sys.stdlib_module_names):
            yield path, name
