"""The server: addresses, the only hosts that it answers to, and headers that keep pages inert."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from persona_assets.explore.pages import MISTAKES, Pages

LOCAL = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine in the header Host."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
"""Headers of every response."""

_STATIC = Path(__file__).parent / "static"
_FILES = {
    "/style.css": (
        "text/css",
        [_STATIC.parents[1] / "reporting" / "style.css", _STATIC / "style.css"],
    ),
    "/script.js": ("text/javascript", [_STATIC / "script.js"]),
    "/icon.svg": ("image/svg+xml", [_STATIC / "icon.svg"]),
}


def build_app(pages: Pages, host: str = LOCAL[0]) -> ASGIApp:
    """Build the application.

    Args:
        pages: Its pages.
        host: Address that the server listens on; see `Guard`.
    """
    routes = [
        Route("/", pages.view),
        Route("/map.png", pages.map_png),
        Route("/row/{row_id:path}", pages.row),
        Route("/completion", pages.completion),
        Route("/dropped", pages.dropped),
        Route("/reload", pages.reload, methods=["POST"]),
        *(Route(path, _file(*file)) for path, file in _FILES.items()),
    ]
    failed = dict.fromkeys(MISTAKES, pages.failed)
    return Guard(Starlette(routes=routes, exception_handlers=failed), host)


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Answer requests until a signal ends the process.

    Args:
        app: Application.
        listener: Bound socket.
    """
    config = uvicorn.Config(app, log_level="warning", server_header=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Bind an address.

    Raises:
        OSError: The address is taken or none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, reuse_port=False)
    except OSError as error:
        raise OSError(
            f"cannot listen on {host} port {port} ({error.strerror or error}): choose another with "
            "--host or --port"
        ) from None


class Guard:
    """Middleware that refuses foreign hosts and adds HEADERS.

    A page of a stranger may lead a browser here under a name of its own that resolves to this
    machine, and would then read all answers. So a request must name this machine. Where the server
    listens for others, any address in numbers will do, which no stranger's name can be.

    Args:
        app: Application.
        host: Address that the server listens on.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = {*LOCAL, host.lower(), f"[{host.lower()}]"}
        self._is_open = host not in ("127.0.0.1", "localhost", "::1")
        if self._is_open:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app: Callable[[Scope, Receive, Send], Awaitable[None]] = self._app
        if not self._is_here(headers.get("host", "")):
            app = PlainTextResponse("This server answers only under the name of its machine.", 400)
        elif scope["method"] == "POST" and not _is_own(headers):
            app = PlainTextResponse("This request comes from another page.", 403)
        await app(scope, receive, send_guarded)

    def _is_here(self, host: str) -> bool:
        name = host.lower()
        if not name.endswith("]"):
            name, _, port = name.rpartition(":") if ":" in name else (name, "", "")
            if port and not port.isdecimal():
                return False
        return name in self._names or (self._is_open and _is_number(name))


def _is_own(headers: Headers) -> bool:
    """Return True for a request from a page of this server."""
    origin = headers.get("origin", "")
    return origin in ("", f"http://{headers.get('host')}")


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _file(kind: str, paths: list[Path]) -> Callable[[object], Response]:
    content = b"\n".join(path.read_bytes() for path in paths)

    def answer(_: object) -> Response:
        return Response(content, media_type=kind)

    return answer
