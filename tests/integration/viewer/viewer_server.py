"""What a hospital's web server does for OHIF: its pages, and the archive's DICOMweb under the same address."""

import http.client
import mimetypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from tests.integration.orthanc_server import OrthancServer

_ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
"""Without them a browser gives no memory shared between workers, which OHIF's decoders may use."""
_DICOM_WEB = "/dicom-web"
_SETTINGS = """\
window.config = {
  routerBasename: '/', extensions: [], modes: [], showStudyList: true, maxNumberOfWebWorkers: 2,
  investigationalUseDialog: { option: 'never' }, showErrorDetails: 'always', defaultDataSourceName: 'archive',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'archive',
    configuration: {
      friendlyName: 'archive', name: 'archive',
      qidoRoot: '/dicom-web', wadoRoot: '/dicom-web', wadoUriRoot: '/dicom-web',
      qidoSupportsIncludeField: false, supportsFuzzyMatching: false, supportsWildcard: true,
      imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
      omitQuotationForMultipartRequest: true, bulkDataURI: { enabled: true },
    },
  }],
};
"""


@contextmanager
def viewer_server(pages: Path, archive: OrthancServer) -> Iterator[str]:
    """Serve for the block, in the archive's namespace; yield the URL."""
    handler = type("Handler", (_Handler,), {"pages": pages, "archive": urlsplit(archive.url).netloc})
    with archive.namespace.inside():
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, name="viewer-server", daemon=True)
        thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages: Path
    archive: str
    """Host and port of the archive, whose DICOMweb is below `/dicom-web`."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith(_DICOM_WEB):
            self._pass_on()
        elif path == "/app-config.js":
            self._answer(HTTPStatus.OK, "text/javascript", _SETTINGS.encode())
        else:
            self._page(path)

    def _page(self, path: str) -> None:
        """Answer with a file, or with the one page that the viewer has; it reads the path itself."""
        file = self.pages / path.lstrip("/")
        if not file.is_file():
            file = self.pages / "index.html"
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self._answer(HTTPStatus.OK, kind, file.read_bytes())

    def _pass_on(self) -> None:
        """Ask the archive the same, under the address that it shall write into its answers."""
        connection = http.client.HTTPConnection(self.archive, timeout=60)
        asked = {name: self.headers[name] for name in ("Accept", "Host") if name in self.headers}
        connection.request("GET", self.path, headers=asked)
        answer = connection.getresponse()
        self._answer(answer.status, answer.getheader("Content-Type", "application/octet-stream"), answer.read())
        connection.close()

    def _answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), **_ISOLATED}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Be quiet."""
