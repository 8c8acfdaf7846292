"""The command `report`: one HTML file on the project."""

import argparse
from pathlib import Path

from persona_assets.project import Project
from persona_assets.reporting.page import write_report
from persona_assets.terminal.figures import OUT

NAME = "report.html"
"""Name of the file in the data folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FILE",
        help=f"file to write (default: {NAME} in the data folder)",
    )


def run(project: Project, options: argparse.Namespace) -> int:
    """Write the report and print its path and size.

    Raises:
        CatalogError: The catalog cannot be read.
        ReportError: The path holds another file, or the report stays too large.
    """
    path: Path = options.to or project.settings.data_dir / NAME
    size = write_report(project, path)
    OUT.print(f"{path}: {size / 1000:,.0f} kB, open it in a browser", markup=False, soft_wrap=True)
    return 0
