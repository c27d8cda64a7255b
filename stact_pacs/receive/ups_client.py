"""The workitem server over HTTP: UPS-RS (PS3.18 11) for the work items, WADO-RS (PS3.18 10.4) for their images."""

from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any

import requests
from dicomweb_client import DICOMwebClient
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from stact_pacs.cine.reading import quietly
from stact_pacs.domain.instances import SeriesKey
from stact_pacs.errors import DestinationUnavailable
from stact_pacs.receive.uids import is_uid
from stact_pacs.settings.receiving import Ups
from stact_pacs.web_session import WebSession

_JSON = {"Accept": "application/dicom+json", "Content-Type": "application/dicom+json"}
_ANY_SYNTAX = (("application/dicom", "*"),)
_PAGE = 100
"""Matches that are asked for at once."""
_GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_REFUSED = (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, *_GONE)
_MALFORMED = (AttributeError, KeyError, LookupError, TypeError, ValueError)
"""What the libraries raise where an answer is not what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """An instance that was fetched."""

    sop_class_uid: str
    transfer_syntax_uid: str
    data_set: bytes
    """Without File Meta Information."""


class UpsClient:
    """Asks one server; every wait has an end.

    Every method raises DestinationUnavailable when the server cannot be reached, does not want us, or answers what
    nobody can use: asking again later is safe.
    """

    def __init__(self, settings: Ups) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")

    def scheduled(self) -> list[str]:
        """Return the UIDs of work items that wait for somebody (PS3.18 11.9).

        All pages are asked for: those that nobody claims would otherwise hide the ones behind them.
        """
        found: dict[str, None] = {}
        while page := self._scheduled_from(len(found)):
            known = len(found)
            found.update(dict.fromkeys(page))
            if len(page) < _PAGE or len(found) - known < len(page):  # the last one, or a server that knows no offset
                break
        return [uid for uid in found if is_uid(uid)]

    def _scheduled_from(self, offset: int) -> list[str]:
        query = {"ProcedureStepState": "SCHEDULED", "includefield": "SOPInstanceUID", "limit": str(_PAGE)}
        if offset:
            query["offset"] = str(offset)
        if self._settings.label:
            query["ProcedureStepLabel"] = self._settings.label
        answer = self._ask("GET", "/workitems", params=query)
        if answer.status_code == HTTPStatus.NO_CONTENT:
            return []
        return [str(each.get("SOPInstanceUID", "")) for each in self._datasets(answer)]

    def workitem(self, uid: str) -> Dataset | None:
        """Return a work item (PS3.18 11.5); None when the server has it no more."""
        answer = self._ask("GET", f"/workitems/{uid}", allowed=_GONE)
        if answer.status_code in _GONE:
            return None
        if not (found := self._datasets(answer)):
            raise self._unavailable("no data set")
        return found[0]

    def change_state(self, uid: str, state: str, transaction_uid: str) -> bool:
        """Ask for a state (PS3.18 11.7); return whether the server did it."""
        wanted = Dataset()
        wanted.ProcedureStepState = state
        wanted.TransactionUID = transaction_uid
        return self._change("PUT", f"/workitems/{uid}/state", wanted)

    def update(self, uid: str, transaction_uid: str, changes: Dataset) -> bool:
        """Change attributes of a work item that is ours (PS3.18 11.6); return whether the server did it.

        The Transaction UID is in the query, where PS3.18 11.6.1 has it, and in the data set, where the N-SET that it
        stands for has it (PS3.4 CC.2.6.2) and where some servers look for it.
        """
        sent = Dataset(changes)
        sent.TransactionUID = transaction_uid
        return self._change("POST", f"/workitems/{uid}?{transaction_uid}", sent)

    def retrieve(self, series: SeriesKey, sop_instance_uid: str) -> Retrieved:
        """Return an instance as the server has it."""
        with self._session() as session:
            client = DICOMwebClient(self._url, session, timeout=self._settings.timeout_s)
            client.set_http_retry_params(retry=False)
            try:
                dataset = client.retrieve_instance(
                    series.study_instance_uid, series.series_instance_uid, sop_instance_uid, media_types=_ANY_SYNTAX
                )
                return _as_received(dataset)
            except (requests.RequestException, *_MALFORMED) as error:
                raise self._unavailable(type(error).__name__) from error

    def _change(self, method: str, path: str, changes: Dataset) -> bool:
        answer = self._ask(method, path, allowed=_REFUSED, json=[changes.to_json_dict()])
        return answer.status_code not in _REFUSED

    def _ask(self, method: str, path: str, *, allowed: tuple[int, ...] = (), **what: Any) -> requests.Response:
        try:
            with self._session() as session:
                timeout_s = self._settings.timeout_s
                answer = session.request(method, self._url + path, headers=_JSON, timeout=timeout_s, **what)
        except requests.RequestException as error:
            raise self._unavailable(type(error).__name__) from error
        if not answer.ok and answer.status_code not in allowed:
            raise self._unavailable(f"HTTP status {answer.status_code}")
        return answer

    def _datasets(self, answer: requests.Response) -> list[Dataset]:
        try:
            with quietly():  # pydicom quotes what it finds odd
                said = answer.json()
                return [Dataset.from_json(each) for each in ([said] if isinstance(said, dict) else said)]
        except _MALFORMED as error:
            raise self._unavailable("an answer that is no DICOM JSON") from error

    def _session(self) -> WebSession:
        return WebSession(token_file=self._settings.token_file, ca_file=self._settings.ca_file)

    def _unavailable(self, why: str) -> DestinationUnavailable:
        return DestinationUnavailable(f"The workitem server at {self._url} gave no answer that helps ({why}).")


def _as_received(dataset: Dataset) -> Retrieved:
    """Return what a C-STORE would have brought; pydicom writes elements that nobody looked at as they came."""
    file = BytesIO()
    dcmwrite(file, dataset, enforce_file_format=True)
    content = file.getvalue()
    meta_bytes = int.from_bytes(content[140:144], "little")  # File Meta Information Group Length, PS3.10 7.1
    return Retrieved(
        sop_class_uid=str(dataset.file_meta.MediaStorageSOPClassUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        data_set=content[144 + meta_bytes :],
    )
