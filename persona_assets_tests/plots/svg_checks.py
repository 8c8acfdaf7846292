"""Checks that every picture must pass, and the result of a program that draws."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from persona_assets.plots.pictures import Picture, svg_markdown

PROGRAMS = Path(__file__).parent / "programs"


def texts(svg: str) -> list[str]:
    """Return the texts of a picture; fail if the picture is not a complete SVG document."""
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def check_picture(picture: Picture) -> None:
    """Assert the properties of every picture, for any data."""
    texts(picture.tiny)
    texts(picture.full)
    assert len(svg_markdown(picture.tiny, "x" * 200)) < 1_000
    assert len(svg_markdown(picture.full, "x" * 200)) < 100_000
    for svg in picture:
        assert "<script" not in svg
        # Raster data within the document loads nothing.
        assert not re.search(r"(?:href|src)=.(?!#|data:image/png;base64,)", svg)


def run_program(name: str) -> dict[str, Any]:
    """Run a program of this folder with another hash seed and without a home."""
    environment = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7", "HOME": "/nonexistent"}
    command = [sys.executable, PROGRAMS / f"{name}.py"]
    printed: dict[str, Any] = json.loads(subprocess.check_output(command, env=environment))
    return printed
