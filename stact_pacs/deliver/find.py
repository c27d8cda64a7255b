"""Ask the archive that sends us a series which instances it has of it, by C-FIND (PS3.4 C.4.1).

It is asked on a thread of its own, so nobody waits for it; that it cannot answer is not an error for anybody.
"""

from collections.abc import Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from pydicom.dataset import Dataset

from stact_pacs.deliver.association import Context, associate
from stact_pacs.deliver.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from stact_pacs.domain.instances import SeriesKey
from stact_pacs.domain.series import OpenSeries, Unknown
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable
from stact_pacs.log import get_logger
from stact_pacs.settings.delivering import Destination

log = get_logger()

QUERY_MODEL = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study Root Query/Retrieve Information Model - FIND."""
QUERY_TRANSFER_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
MOST_INSTANCES = 10_000
"""A series of more instances is not counted: no ultrasound series has as many."""
_MOST_QUESTIONS = 1000
"""Answers that are kept; the oldest are those of series that were closed long ago."""


def find_instances(archive: Destination, key: SeriesKey, *, calling: str, timeout_s: float) -> dict[str, str]:
    """Return what the archive has of a series: the SOP Class UID by SOP Instance UID, empty where it does not tell.

    Raises
    ------
    DestinationUnavailable
        It cannot be reached, does not answer in time, or does not take the question.
    DeliveryRefused
        It rejects the association for good.
    """
    contexts = [Context(QUERY_MODEL, syntax) for syntax in QUERY_TRANSFER_SYNTAXES]
    with associate(archive, contexts, calling=calling, timeout_s=timeout_s) as association:
        if not any(association.accepts(context) for context in contexts):
            raise DestinationUnavailable(f"{archive.ae_title} does not offer Study Root C-FIND.")
        matches = association.find(_identifier(key), sop_class_uid=QUERY_MODEL, most=MOST_INSTANCES)
    return {str(match.get("SOPInstanceUID", "")): str(match.get("SOPClassUID", "")) for match in matches}


def _identifier(key: SeriesKey) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = key.study_instance_uid
    identifier.SeriesInstanceUID = key.series_instance_uid
    identifier.SOPInstanceUID = ""
    identifier.SOPClassUID = ""
    return identifier


class Sources:
    """The archives that can be asked about what they send.

    Parameters
    ----------
    archives
        Where to ask, by the calling AE title of the sender.
    sop_class_uids
        Instances of other SOP classes are never sent here, and so never missing.
    calling
        Our AE title.
    timeout_s
        Longest wait for an answer.
    """

    def __init__(
        self, archives: Mapping[str, Destination], sop_class_uids: Collection[str], *, calling: str, timeout_s: float
    ) -> None:
        self._sources = {
            calling_ae: _Source(archive, frozenset(sop_class_uids), calling=calling, timeout_s=timeout_s)
            for calling_ae, archive in archives.items()
        }

    def missing(self, opened: OpenSeries) -> int | Unknown:
        """Return how many instances the sender of the newest instance has of its series that are not here."""
        source = self._sources.get(opened.instances[-1].calling_ae)
        return Unknown.CANNOT_SAY if source is None else source.missing(opened)

    def close(self) -> None:
        """Ask nothing more."""
        for source in self._sources.values():
            source.close()


class _Source:
    """One archive: asked one question at a time, once whenever something has happened to a series."""

    def __init__(self, archive: Destination, sop_class_uids: frozenset[str], *, calling: str, timeout_s: float) -> None:
        self._archive = archive
        self._sop_class_uids = sop_class_uids | {""}
        self._calling = calling
        self._timeout_s = timeout_s
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="c-find")
        self._answers: dict[tuple[int, int], Future[int | Unknown]] = {}

    def missing(self, opened: OpenSeries) -> int | Unknown:
        question = opened.id, opened.activity
        if question not in self._answers:
            self._answers[question] = self._executor.submit(self._count, opened)
            while len(self._answers) > _MOST_QUESTIONS:
                del self._answers[next(iter(self._answers))]
        answer = self._answers[question]
        return answer.result() if answer.done() else Unknown.NOT_YET

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _count(self, opened: OpenSeries) -> int | Unknown:
        try:
            there = find_instances(self._archive, opened.key, calling=self._calling, timeout_s=self._timeout_s)
        except (DestinationUnavailable, DeliveryRefused) as error:
            log.warning("a source cannot say what it has", action="source_not_asked", error=error.text)
            return Unknown.CANNOT_SAY
        here = {instance.sop_instance_uid for instance in opened.instances}
        return sum(uid not in here and sop_class in self._sop_class_uids for uid, sop_class in there.items())
