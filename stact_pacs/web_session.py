"""HTTP to services that are sent patients and have our credentials: straight there, and nowhere else."""

from io import BytesIO
from pathlib import Path
from typing import Any

import requests

from stact_pacs.errors import DestinationUnavailable, Misconfigured
from stact_pacs.settings.loading import read_secret


class WebSession(requests.Session):
    """Connections to one service.

    It follows no redirection, which would make a lost POST look stored and take a patient to who knows whom, and takes
    nothing from the environment: no proxy, and no credentials of ~/.netrc in the place of ours.

    Parameters
    ----------
    user, password_file
        Credentials of HTTP Basic authentication.
    token_file
        File with a bearer token. Secrets are read anew for each session, so that they can be renewed.
    ca_file
        The CA certificates that the service's certificate is checked against; None for the system's.
    certificate_file, key_file
        What we show the service of ourselves.

    Raises
    ------
    DestinationUnavailable
        A secret cannot be read.
    """

    def __init__(
        self,
        *,
        user: str = "",
        password_file: Path | None = None,
        token_file: Path | None = None,
        ca_file: Path | None = None,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
    ) -> None:
        super().__init__()
        self.trust_env = False
        try:
            if password_file is not None:
                self.auth = (user, read_secret(password_file))
            if token_file is not None:
                self.headers["Authorization"] = f"Bearer {read_secret(token_file)}"
        except Misconfigured as error:
            raise DestinationUnavailable(error.text, remedy=error.remedy) from error
        if ca_file is not None:
            self.verify = str(ca_file)
        if certificate_file is not None:
            self.cert = (str(certificate_file), str(key_file))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        body = kwargs.get("data")
        if isinstance(body, bytes):
            # As a file it goes out piece by piece, each within the time limit; as bytes, all of it had to at once.
            kwargs["data"] = BytesIO(body)
        return super().request(*args, **(kwargs | {"allow_redirects": False}))
