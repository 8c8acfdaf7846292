"""The command `explore`: a page on the project, served on this machine."""

import argparse
from collections.abc import Callable
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from persona_assets.local_models.embedder import EmbedderError, LocalEmbedder
from persona_assets.project import Project
from persona_assets.settings import Settings
from persona_assets.terminal.figures import OUT

if TYPE_CHECKING:
    import numpy as np

HOST, PORT = "127.0.0.1", 8080


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("--host", default=HOST, help=f"address to listen on (default: {HOST})")
    parser.add_argument("--port", type=int, default=PORT, help=f"port (default: {PORT})")
    parser.add_argument(
        "--refit", action="store_true", help="fit the map anew first, as persona-assets refit does"
    )


def run(project: Project, host: str, port: int) -> int:
    """Serve the page until it is interrupted.

    Raises:
        OSError: The address is taken.
        CatalogError: The catalog cannot be read.
    """
    # No other command needs a server.
    from persona_assets.explore.pages import Pages
    from persona_assets.explore.server import build_app, listen, serve

    with closing(listen(host, port)) as listener:
        OUT.print("reading the tables", markup=False)
        pages = Pages(project, query_embedder(project.settings))
        for note in pages.hub.notes:
            OUT.print(note, soft_wrap=True, markup=False)
        name = f"[{host}]" if ":" in host else host
        OUT.print(
            f"{len(pages.hub):,} personas on http://{name}:{listener.getsockname()[1]}, until "
            "Ctrl-C",
            soft_wrap=True,
            markup=False,
        )
        with suppress(KeyboardInterrupt):
            serve(build_app(pages, host), listener)
    return 0


def query_embedder(settings: Settings) -> "Callable[[str], np.ndarray]":
    """Return the embedding of a query by the project's embedded model, which is loaded at once.

    An embedder that is a service is not asked: a page buys nothing. Without a model, the function
    raises EmbedderError with the reason.
    """
    endpoint = settings.embedder
    reason = (
        f"the embedder {endpoint.model} is a service, and this page buys nothing; open a persona "
        "for those nearest to it"
    )
    if endpoint.embedded:
        try:
            model = LocalEmbedder(endpoint.model, settings.embedding_precision)
            model.embed(["load"])
        except EmbedderError as error:
            reason = str(error)
        else:
            return lambda query: model.embed([query])[0]

    def refuse(query: str) -> "np.ndarray":
        raise EmbedderError(reason)

    return refuse
