"""A stand-in of the Slack Web API on loopback: real HTTP, answers as it is told to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs


class SlackStand:
    """Answers `chat.postMessage` as it is told to and keeps what it received."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status, self.answer = 200, b'{"ok": true, "ts": "1.2"}'
        self.headers: dict[str, str] = {}
        self.release = threading.Event()
        self.release.set()
        stand = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                fields = json.loads(body) if body.startswith("{") else {k: v[0] for k, v in parse_qs(body).items()}
                stand.received.append({"path": self.path, "token": self.headers["Authorization"], **fields})
                stand.release.wait(20)
                try:
                    self.send_response(stand.status)
                    self.send_header("Content-Type", "application/json")
                    for name, value in stand.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(stand.answer)
                except BrokenPipeError:
                    pass  # whoever asked has gone

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/"
        self._thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self) -> SlackStand:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()
