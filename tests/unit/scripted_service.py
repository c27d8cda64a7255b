"""A web service that answers as it is told, and keeps what it was asked."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stact_pacs.settings.delivering import WebDestination

MEGABYTE = 1_000_000


class Service:
    """A web service that answers every request in the same way, and keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body, self.headers = 200, b"", {"Content-Type": "application/dicom+json"}
        self.requests: list[tuple[str, str, bytes]] = []
        self.authorizations: list[str | None] = []
        self.url = ""
        self.pause_s = 0.0
        """After every megabyte that it reads."""

    def destination(self, **settings: Any) -> WebDestination:
        return WebDestination(name="web", url=self.url, **settings)


@contextmanager
def scripted_service() -> Iterator[Service]:
    """Run one for the block."""
    kept = Service()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kept.requests.append((self.command, self.path, self._body()))
            kept.authorizations.append(self.headers["Authorization"])
            self.send_response(kept.status)
            for name, value in (kept.headers | {"Content-Length": str(len(kept.body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(kept.body)

        def do_POST(self) -> None:
            self.do_GET()

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return b"".join(self._parts(int(self.headers.get("Content-Length", 0))))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _parts(self, left: int) -> Iterator[bytes]:
            while left:
                part = self.rfile.read(min(left, MEGABYTE))
                left -= len(part)
                time.sleep(kept.pause_s)
                yield part

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        kept.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
        yield kept
        server.shutdown()
        thread.join()
