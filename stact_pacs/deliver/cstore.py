"""Send DICOM objects by C-STORE (PS3.4 Annex B) and say of each one how that ended."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom.uid import UID
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time from a table

from stact_pacs.deliver.association import MAX_CONTEXTS, Association, Context, associate
from stact_pacs.deliver.encoding import TRANSFER_SYNTAXES, encoded, syntaxes_for
from stact_pacs.deliver.outcomes import SUCCESS, RefusedForGood, SendOutcome, TryLater, outcome_of_status
from stact_pacs.deliver.part10 import IMPLICIT_VR_LITTLE_ENDIAN, read_part10
from stact_pacs.domain.results import ResultObject
from stact_pacs.errors import DeliveryRefused, DestinationUnavailable, Reason, Refused
from stact_pacs.settings.delivering import Deliver, Destination

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.4"
"""Multi-frame True Color Secondary Capture Image Storage."""

_COMPRESSED = {SECONDARY_CAPTURE: ("1.2.840.10008.1.2.4.50",)}
"""Compressed transfer syntaxes that results can be stored in: JPEG Baseline."""

RESULT_SOP_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation Storage
    "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation Storage
    "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR Storage
    "1.2.840.10008.5.1.4.1.1.88.34",  # Comprehensive 3D SR Storage
    SECONDARY_CAPTURE,
    "1.2.840.10008.5.1.4.1.1.88.59",  # Key Object Selection Document Storage
    "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF Storage
)
"""What results can be: an outbox proposes all, because it does not know what will be due next."""


def offered_syntaxes(destination: Destination, sop_class_uid: str) -> tuple[str, ...]:
    """Return the transfer syntaxes in which results of a SOP class are offered to a destination, the best first."""
    syntaxes = (TRANSFER_SYNTAXES[name] for name in destination.transfer_syntaxes)
    return (*syntaxes, *_COMPRESSED.get(sop_class_uid, ()))


FileProgress = Callable[[int, int], None]
"""Called as `progress(done, total)` after each file."""


class ResultAssociation:
    """An open association over which results are sent; made by `CStoreSender.association`."""

    def __init__(self, association: Association, destination: Destination) -> None:
        self._association = association
        self._destination = destination

    def store(self, result: ResultObject) -> SendOutcome:
        """Send one object, in the first of the destination's transfer syntaxes that it accepts.

        Raises
        ------
        DestinationUnavailable
            The association was lost; whether the object arrived is not known.
        """
        offered = [TRANSFER_SYNTAXES[name] for name in self._destination.transfer_syntaxes]
        syntaxes = syntaxes_for(result.content, offered)
        for context in (Context(result.sop_class_uid, syntax) for syntax in syntaxes):
            if self._association.accepts(context):
                with _file_in_memory(encoded(result.content, context.transfer_syntax_uid)) as path:
                    return outcome_of_status(self._association.store(path))
        return _context_rejected(self._destination, Context(result.sop_class_uid, syntaxes[0]))


class CStoreSender:
    """Sends under our AE title, with the time limits of the settings."""

    def __init__(self, settings: Deliver) -> None:
        self._calling = settings.ae_title
        self._timeout_s = settings.timeout_s

    @contextmanager
    def association(
        self, destination: Destination, sop_class_uids: Iterable[str] = RESULT_SOP_CLASSES
    ) -> Iterator[ResultAssociation]:
        """Open an association for results of these SOP classes.

        Raises
        ------
        DestinationUnavailable
            No connection, no answer in time, or a rejection that passes.
        DeliveryRefused
            The association was rejected for good.
        """
        contexts = [
            Context(sop_class, syntax)
            for sop_class in sop_class_uids
            for syntax in offered_syntaxes(destination, sop_class)
        ]
        with self._associate(destination, contexts) as association:
            yield ResultAssociation(association, destination)

    def send(self, objects: Sequence[ResultObject], destination: Destination) -> list[SendOutcome]:
        """Send the objects on one association; return one outcome for each, in their order."""
        outcomes: list[SendOutcome] = []
        sop_class_uids = dict.fromkeys(result.sop_class_uid for result in objects)
        try:
            with self.association(destination, sop_class_uids) as association:
                for result in objects:
                    outcomes.append(association.store(result))
        except (DestinationUnavailable, DeliveryRefused) as error:
            unsent = len(objects) - len(outcomes)
            outcomes += [outcome_of_error(error)] * unsent
        return outcomes

    def send_files(
        self, paths: Sequence[Path], destination: Destination, progress: FileProgress | None = None
    ) -> list[tuple[Path, SendOutcome]]:
        """Send DICOM files as they are, in their own transfer syntax; return one outcome for each, in their order."""
        outcomes: dict[Path, SendOutcome] = {}

        def settle(path: Path, outcome: SendOutcome) -> None:
            outcomes[path] = outcome
            if progress is not None:
                progress(len(outcomes), len(unique))

        unique = list(dict.fromkeys(paths))
        files: dict[Context, list[Path]] = {}
        for path in unique:
            try:
                files.setdefault(_context_of(path), []).append(path)
            except Refused as refused:
                settle(path, RefusedForGood(text=refused.text))
        for contexts in _in_groups(list(files), MAX_CONTEXTS):
            self._send_group({context: files[context] for context in contexts}, destination, settle)
        return [(path, outcomes[path]) for path in unique]

    def _send_group(
        self,
        files: dict[Context, list[Path]],
        destination: Destination,
        settle: Callable[[Path, SendOutcome], None],
    ) -> None:
        """Send files of at most 128 presentation contexts on one association."""
        waiting = [(context, path) for context, paths in files.items() for path in paths]
        waiting.reverse()
        try:
            with self._associate(destination, list(files)) as association:
                while waiting:
                    context, path = waiting[-1]
                    settle(path, _store_file(association, context, path, destination))
                    waiting.pop()
        except (DestinationUnavailable, DeliveryRefused) as error:
            for _, path in reversed(waiting):
                settle(path, outcome_of_error(error))

    def echo(self, destination: Destination) -> None:
        """Ask the destination whether it is there, by C-ECHO (PS3.4 Annex A).

        Raises
        ------
        DestinationUnavailable
            It cannot be reached, does not answer, or answers with another status than Success.
        DeliveryRefused
            It rejects the association for good, or does not offer Verification.
        """
        context = Context(str(Verification), IMPLICIT_VR_LITTLE_ENDIAN)
        with self._associate(destination, [context]) as association:
            if not association.accepts(context):
                raise DeliveryRefused(_context_rejected(destination, context).text, remedy="Allow C-ECHO there.")
            status = association.echo()
        if status != SUCCESS:
            raise DestinationUnavailable(f"{destination.ae_title} answered C-ECHO with status 0x{status:04X}.")

    @contextmanager
    def _associate(self, destination: Destination, contexts: Sequence[Context]) -> Iterator[Association]:
        with associate(destination, contexts, calling=self._calling, timeout_s=self._timeout_s) as association:
            yield association


def outcome_of_error(error: DestinationUnavailable | DeliveryRefused) -> SendOutcome:
    """Return what a failed association means for the objects that it should have carried."""
    return TryLater(text=str(error)) if isinstance(error, DestinationUnavailable) else RefusedForGood(text=str(error))


def _context_rejected(destination: Destination, context: Context) -> RefusedForGood:
    sop_class, syntax = UID(context.sop_class_uid).name, UID(context.transfer_syntax_uid).name
    return RefusedForGood(text=f"{destination.ae_title} does not accept {sop_class} in {syntax}.")


@contextmanager
def _file_in_memory(content: bytes) -> Iterator[Path]:
    """Lend the bytes a path, as the library wants for sending them as they lie; nothing of a patient touches a disk."""
    with os.fdopen(os.memfd_create("result"), "wb") as file:
        file.write(content)
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")


def _context_of(path: Path) -> Context:
    """Return the context that a DICOM file needs; Refused when it is none or cannot be read."""
    try:
        with path.open("rb") as file:
            part10 = read_part10(file)
    except OSError as error:
        raise Refused(Reason.NOT_DICOM, f"The file cannot be read: {error.strerror}.") from error
    return Context(part10.sop_class_uid, part10.transfer_syntax_uid)


def _store_file(association: Association, context: Context, path: Path, destination: Destination) -> SendOutcome:
    if not association.accepts(context):
        return _context_rejected(destination, context)
    try:
        return outcome_of_status(association.store(path))
    except OSError as error:  # it was readable a moment ago
        return RefusedForGood(text=f"The file cannot be read: {error.strerror}.")


def _in_groups(contexts: list[Context], size: int) -> Iterator[list[Context]]:
    for start in range(0, len(contexts), size):
        yield contexts[start : start + size]
