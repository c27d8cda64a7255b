"""A small storage SCP for the demo and the tests, and for nothing else.

It listens on loopback only, takes any calling AE title, keeps every copy that it receives as a file of its
own, syncs nothing, has no index and cannot be queried. What a real PACS does with a second copy is not shown.
"""

import random
import threading
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time from a table

from stact_pacs.errors import Misconfigured
from stact_pacs.settings.delivering import Destination

_HOST = "127.0.0.1"
_SUCCESS, _OUT_OF_RESOURCES = 0x0000, 0xA700  # PS3.4 B.2.3
_TRANSFER_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]  # Explicit and Implicit VR Little Endian


class MiniPacs:
    """A PACS that stores what comes, except for the share that it is told to refuse.

    Parameters
    ----------
    folder
        Where the received files go, under generated names.
    fail_rate
        Share of C-STOREs, in [0, 1], that are answered 0xA700 (out of resources) instead of being stored.
    seed
        Of the random numbers that choose which.
    port
        Port to listen on; 0 takes a free one.
    """

    def __init__(
        self, folder: Path, *, fail_rate: float = 0.0, seed: int = 0, ae_title: str = "MINI_PACS", port: int = 0
    ) -> None:
        self.folder = folder
        self.ae_title = ae_title
        self.port = port
        self.refused = 0
        self.fail_rate = fail_rate
        self._random = random.Random(seed)  # noqa: S311 - it chooses which stores fail in a demo
        self._lock = threading.Lock()
        self._ae = AE(ae_title=ae_title)
        self._ae.add_supported_context(Verification, _TRANSFER_SYNTAXES)
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(str(context.abstract_syntax), _TRANSFER_SYNTAXES)

    def start(self) -> None:
        """Listen; Misconfigured when the port is in use."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store)]
        try:
            server = self._ae.start_server((_HOST, self.port), block=False, evt_handlers=handlers)
        except OSError as error:
            text = f"The small PACS cannot listen on {_HOST}:{self.port}: {error.strerror}."
            raise Misconfigured(text, remedy="Choose another port.") from error
        assert server is not None
        assert server.socket is not None
        self.port = server.socket.getsockname()[1]

    def stop(self) -> None:
        """Stop listening and end every association."""
        self._ae.shutdown()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def destination(self, name: str = "mini-pacs") -> Destination:
        """Return the settings of a destination that is this PACS."""
        return Destination(name=name, host=_HOST, port=self.port, ae_title=self.ae_title)

    def received(self) -> list[Path]:
        """Return every stored file; two copies of one object are two files."""
        return sorted(self.folder.glob("*.dcm"))

    def _store(self, event: evt.Event) -> int:
        with self._lock:
            if self._random.random() < self.fail_rate:
                self.refused += 1
                return _OUT_OF_RESOURCES
        name = uuid.uuid4().hex
        part = self.folder / f"{name}.part"
        part.write_bytes(event.encoded_dataset())
        part.rename(part.with_suffix(".dcm"))
        return _SUCCESS
