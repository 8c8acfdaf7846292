"""Model hub on 127.0.0.1 that keeps the files of one dataset in memory.

with HubServer() as hub:
    hub.files["README.md"]      # bytes of an uploaded file
    hub.refuse = 1              # the next commit is refused
"""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class HubServer:
    """Model hub with the part of its API that an upload needs.

    Attributes:
        files: Uploaded files by path.
        repos: Bodies of the requests for new repositories.
        tokens: Values of the header `authorization`.
        refuse: Number of commits to refuse.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.repos: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.refuse = 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                if "/tree/" in self.path:
                    listed = [
                        {"type": "file", "path": path, "size": len(data), "oid": "0" * 40}
                        for path, data in hub.files.items()
                    ]
                    self._reply(200, listed)
                else:
                    self._reply(200, self._info())

            def do_POST(self) -> None:
                hub.tokens.add(self.headers.get("authorization"))
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.path.endswith("/repos/create"):
                    repo = json.loads(body)
                    hub.repos.append(repo)
                    name = f"{repo['organization']}/{repo['name']}"
                    self._reply(200, {"url": f"{hub.url}/datasets/{name}"})
                elif "/preupload/" in self.path:
                    files = [
                        {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                        for file in json.loads(body)["files"]
                    ]
                    self._reply(200, {"files": files})
                elif "/commit/" in self.path and hub.refuse:
                    hub.refuse -= 1
                    self._reply(403, {"error": "no right to write"})
                elif "/commit/" in self.path:
                    hub._commit(body)
                    self._reply(
                        200,
                        {
                            "commitUrl": f"{hub.url}/datasets/team/tools/commit/1",
                            "commitOid": "1" * 40,
                        },
                    )
                else:
                    self._reply(200, {})

            def _info(self) -> dict[str, Any]:
                siblings = [{"rfilename": path} for path in hub.files]
                return {"id": "team/tools", "sha": "0" * 40, "siblings": siblings}

            def _reply(self, status: int, body: object) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _commit(self, body: bytes) -> None:
        for line in body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "deletedFile":
                self.files.pop(value["path"], None)
