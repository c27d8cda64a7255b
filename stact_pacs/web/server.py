"""Serve the pages in a thread of this process, with uvicorn."""

import socket
import threading
import time

import uvicorn
from fastapi import FastAPI

from stact_pacs.errors import Misconfigured
from stact_pacs.settings.house import Web

_START_S = 10.0
_POLL_S = 0.02
_DRAIN_S = 2


class WebServer:
    """The web server of one application."""

    def __init__(self, app: FastAPI, settings: Web) -> None:
        self._address = (settings.host, settings.port)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=_DRAIN_S)
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen and answer.

        Raises
        ------
        Misconfigured
            The address cannot be listened on, or the server did not start.
        """
        listener = self._listen()
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="web", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise Misconfigured("The web pages did not start.", remedy="See the log, or set web.enabled to false.")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Answer the requests that are there, then stop."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(2 * _DRAIN_S + _START_S)

    def _listen(self) -> socket.socket:
        host, port = self._address
        try:
            return socket.create_server(self._address, family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise Misconfigured(
                f"The web pages cannot listen on {host}:{port}: {error.strerror}.",
                remedy="Free the port, or choose another one in web.port.",
            ) from error
