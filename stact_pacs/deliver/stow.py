"""Send results by STOW-RS (PS3.18 10.5), and ask by QIDO-RS (PS3.18 10.6) what arrived, with dicomweb-client."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from io import BytesIO
from typing import Any

import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmread

from stact_pacs.deliver.outcomes import SendOutcome
from stact_pacs.deliver.stow_answer import http_status_text, outcome_of_answer
from stact_pacs.domain.deliveries import UnprovenDelivery
from stact_pacs.domain.results import ResultObject
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.settings.delivering import ClientTls, Deliver, WebDestination
from stact_pacs.web_session import WebSession

SEARCH_IS_ANSWERED = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)
"""The answer to a search says whether the instance is there; any other status says nothing of it."""
_FIRST_MATCH = 1
_IN_ONE_PIECE = 2**40
"""Bytes: a request of any length says its length, for services that do not take chunks."""
_NO_STUDY = "2.25.0"
_SOP_INSTANCE_UID = "00080018"
_MALFORMED = (AttributeError, KeyError, LookupError, TypeError, ValueError)
"""What the libraries raise where an answer is not what it should be."""


class StowSender:
    """Sends to DICOMweb services, with the time limits of the settings."""

    def __init__(self, settings: Deliver) -> None:
        self._timeout_s = settings.timeout_s

    @contextmanager
    def association(self, destination: WebDestination) -> Iterator["WebService"]:
        """Open what stands for an association over HTTP: connections to one service, with our credentials.

        Raises
        ------
        DestinationUnavailable
            The credentials cannot be read.
        """
        tls = destination.tls or ClientTls()
        with WebSession(
            user=destination.user,
            password_file=destination.password_file,
            token_file=destination.token_file,
            ca_file=tls.ca_file,
            certificate_file=tls.certificate_file,
            key_file=tls.key_file,
        ) as session:
            yield WebService(destination, session, timeout_s=self._timeout_s)

    def echo(self, destination: WebDestination) -> None:
        """Ask the service whether it answers us, by a search that finds nothing.

        Raises
        ------
        DestinationUnavailable
            It cannot be reached, or answers anything but a search result.
        """
        with self.association(destination) as service:
            service.search()


class WebService:
    """A DICOMweb service; made by `StowSender.association`."""

    def __init__(self, destination: WebDestination, session: requests.Session, *, timeout_s: float) -> None:
        self._name = f"{destination.name} at {destination.url}"
        self._answers: list[requests.Response] = []
        self._client = DICOMwebClient(
            destination.url.rstrip("/"),
            session,
            headers={"Accept": "application/dicom+json"},
            callback=self._keep,
            chunk_size=_IN_ONE_PIECE,
            timeout=timeout_s,
        )
        self._client.set_http_retry_params(retry=False)  # the outbox tries again, and has the schedule for it

    def store(self, result: ResultObject) -> SendOutcome:
        """Send one object, byte for byte.

        Raises
        ------
        DestinationUnavailable
            No connection or no answer: whether the object arrived is not known; or the service does not want us.
        """
        dataset = dcmread(BytesIO(result.content))
        answer = self._ask(lambda: self._client.store_instances([dataset]))
        return outcome_of_answer(answer.status_code, answer.content, result.sop_instance_uid)

    def search(self) -> None:
        """Ask for what there is not; raises DestinationUnavailable where that is not answered by an empty list."""
        nothing = {"StudyInstanceUID": _NO_STUDY}
        answer = self._ask(lambda: self._client.search_for_studies(search_filters=nothing, limit=_FIRST_MATCH))
        self._require(answer, HTTPStatus.OK, HTTPStatus.NO_CONTENT)

    def holds(self, delivery: UnprovenDelivery) -> bool:
        """Return whether the service finds an instance that was sent.

        Raises
        ------
        DestinationUnavailable
            No connection or no answer, or not one that says.
        """
        found: list[dict[str, Any]] = []

        def search() -> None:
            series = delivery.study_instance_uid, delivery.series_instance_uid
            wanted = {"SOPInstanceUID": delivery.sop_instance_uid}
            found.extend(self._client.search_for_instances(*series, search_filters=wanted, limit=_FIRST_MATCH))

        answer = self._ask(search)
        self._require(answer, *SEARCH_IS_ANSWERED)
        return any(delivery.sop_instance_uid in match.get(_SOP_INSTANCE_UID, {}).get("Value", ()) for match in found)

    def _require(self, answer: requests.Response, *statuses: int) -> None:
        if answer.status_code not in statuses:
            raise DestinationUnavailable(f"{self._name}: {http_status_text(answer.status_code)}")

    def _ask(self, request: Callable[[], object]) -> requests.Response:
        """Make a request and return its answer, whatever it is."""
        self._answers.clear()
        try:
            with suppress(requests.HTTPError, *_MALFORMED):  # the answer is there, and is judged by us
                request()
        except requests.RequestException as error:
            raise DestinationUnavailable(
                f"{self._name} cannot be reached, or gave no answer in time ({type(error).__name__})."
            ) from error
        if not self._answers:
            raise DestinationUnavailable(f"{self._name} gave no answer.")
        return self._answers[-1]

    def _keep(self, response: requests.Response, *_: Any, **__: Any) -> requests.Response:
        self._answers.append(response)
        return response
