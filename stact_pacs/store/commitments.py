"""Storage commitment: who asked for which instances, what the files were found to be, and the report that is owed."""

import builtins
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.commitments import (
    CommitmentRecord,
    CommitmentRequest,
    CommitmentState,
    FailureReason,
    OwedCommitmentReport,
    ReferencedInstance,
    RequestedCommitment,
)
from stact_pacs.domain.instances import Instance
from stact_pacs.errors import LeaseLost
from stact_pacs.queue.states import check_move
from stact_pacs.store import history
from stact_pacs.store.database import Database
from stact_pacs.store.history import Action
from stact_pacs.store.rows import instance_of
from stact_pacs.store.schema import commitment_references, commitments, in_state, instances, series

_REQUESTED = in_state(commitments, CommitmentState.REQUESTED)
_VERIFIED = in_state(commitments, CommitmentState.VERIFIED)


class CommitmentRecords:
    """The storage commitment requests on record."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- for the listener

    def request(self, request: CommitmentRequest, *, now: datetime) -> None:
        """Put a request on record; return when that is committed.

        The same request again (same requestor, Transaction UID and instances) is verified and reported again.

        Raises
        ------
        DatabaseUnavailable
            Nothing may be assumed; asking again is safe.
        """
        key = {
            "calling_ae": request.calling_ae,
            "transaction_uid": request.transaction_uid,
            "references_sha256": _digest(request.references),
        }
        new = {**key, "state": CommitmentState.REQUESTED, "requested_at": now}
        insert = self._database.insert(commitments).values(new).on_conflict_do_nothing().returning(commitments.c.id)
        with self._database.write() as connection:
            created = connection.execute(insert).scalar_one_or_none()
            if created is None:
                _ask_again(connection, key, now)
            else:
                _add_references(connection, created, request.references)
            detail = f"{_title(request)}: {len(request.references)} instances."
            history.record(connection, Action.COMMITMENT_REQUESTED, detail, now=now)

    # -- for the verification

    def next_requested(self) -> RequestedCommitment | None:
        """Return the oldest request that is still to be verified; None when there is none."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(commitments).where(_REQUESTED).order_by(commitments.c.id).limit(1)
            ).one_or_none()
            if row is None:
                return None
            references = tuple(reference for reference, _reason in _outcomes(connection, row.id))
            return RequestedCommitment(
                id=row.id,
                request=CommitmentRequest(
                    calling_ae=row.calling_ae, transaction_uid=row.transaction_uid, references=references
                ),
                transaction_uid_was_used=_was_used(connection, row),
                on_record=_on_record(connection, row.id),
            )

    def verified(
        self, commitment: RequestedCommitment, outcomes: Sequence[FailureReason | None], *, now: datetime
    ) -> None:
        """Record what the files were found to be; the report is owed from now on.

        Nothing happens when somebody else has recorded it meanwhile.

        Parameters
        ----------
        outcomes
            For every reference, in the order of the request, why it is not committed, or None.
        """
        check_move(CommitmentState.REQUESTED, CommitmentState.VERIFIED)
        with self._database.write() as connection:
            moved = connection.execute(
                sa.update(commitments)
                .where(commitments.c.id == commitment.id, _REQUESTED)
                .values(state=CommitmentState.VERIFIED, next_attempt_at=now)
            )
            if moved.rowcount != 1:
                return
            _write_reasons(connection, commitment.id, outcomes)
            _tell_of_damage(connection, commitment.id, now)
            failed = sum(reason is not None for reason in outcomes)
            detail = f"{_title(commitment.request)}: {failed} of {len(outcomes)} instances are not committed."
            history.record(connection, Action.COMMITMENT_VERIFIED, detail, now=now)

    # -- for the sender of the reports

    def claim_due(self, *, now: datetime, lease_s: float) -> OwedCommitmentReport | None:
        """Claim the report that has been due longest; None when none is due.

        The claim moves `next_attempt_at` to the end of the lease: a report whose sender died is due again then.
        """
        with self._database.write() as connection:
            row = connection.execute(_claiming(now, now + timedelta(seconds=lease_s))).one_or_none()
            if row is None:
                return None
            same_name = ("id", "calling_ae", "transaction_uid", "requested_at", "attempts", "lease_token")
            return OwedCommitmentReport(
                outcomes=tuple(_outcomes(connection, row.id)), **{name: row._mapping[name] for name in same_name}
            )

    def reported(self, report: OwedCommitmentReport, detail: str, *, now: datetime) -> None:
        """Record that the requestor took the report.

        Raises
        ------
        LeaseLost
            Another sender has claimed it since, or the requestor has asked again.
        """
        self._end(report, CommitmentState.REPORTED, Action.COMMITMENT_REPORTED, detail, now)

    def given_up(self, report: OwedCommitmentReport, detail: str, *, now: datetime) -> None:
        """Record that the report will not be sent any more; raises LeaseLost as `reported` does."""
        self._end(report, CommitmentState.FAILED, Action.COMMITMENT_FAILED, detail, now)

    def retry_later(
        self, report: OwedCommitmentReport, detail: str, *, next_attempt_at: datetime, now: datetime
    ) -> None:
        """Send it again at `next_attempt_at`; raises LeaseLost as `reported` does."""
        with self._database.write() as connection:
            _fenced(connection, report, next_attempt_at=next_attempt_at, detail=detail)
            sentence = f"{_title(report)}: attempt {report.attempts} failed: {detail}"
            history.record(connection, Action.COMMITMENT_RETRY_SCHEDULED, sentence, now=now)

    def put_off(self, calling_ae: str, *, until: datetime) -> None:
        """Leave a requestor that cannot be reached alone: no report to it is due before `until`."""
        with self._database.write() as connection:
            owed = sa.update(commitments).where(
                _VERIFIED, commitments.c.calling_ae == calling_ae, commitments.c.next_attempt_at < until
            )
            connection.execute(owed.values(next_attempt_at=until))

    # -- for people

    def list(self, *, limit: int | None = None) -> builtins.list[CommitmentRecord]:
        """Return the requests, newest first."""
        counted = (
            sa.select(
                commitments,
                sa.func.count().label("instances"),
                sa.func.count(commitment_references.c.failure_reason).label("failed"),
            )
            .join(commitment_references, commitment_references.c.commitment_id == commitments.c.id)
            .group_by(commitments.c.id)
            .order_by(commitments.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            return [_record_of(row) for row in connection.execute(counted)]

    def _end(
        self, report: OwedCommitmentReport, target: CommitmentState, action: Action, detail: str, now: datetime
    ) -> None:
        check_move(CommitmentState.VERIFIED, target)
        with self._database.write() as connection:
            _fenced(connection, report, state=target, next_attempt_at=None, detail=detail)
            history.record(connection, action, f"{_title(report)}: {detail}", now=now)


def _digest(references: Sequence[ReferencedInstance]) -> str:
    """Return what tells two requests under one Transaction UID apart."""
    lines = (f"{reference.sop_class_uid} {reference.sop_instance_uid}" for reference in references)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _title(named: CommitmentRequest | OwedCommitmentReport) -> str:
    return f"Transaction {named.transaction_uid} of {named.calling_ae}"


def _ask_again(connection: Connection, key: dict[str, str], now: datetime) -> None:
    """Put a request that is on record back to its beginning, unless it is there; who reports on it loses the claim."""
    mine = sa.and_(*(commitments.c[name] == value for name, value in key.items()))
    row = connection.execute(sa.select(commitments.c.id, commitments.c.state).where(mine).with_for_update()).one()
    if row.state is CommitmentState.REQUESTED:
        return
    check_move(row.state, CommitmentState.REQUESTED)
    values = {
        "state": CommitmentState.REQUESTED,
        "requested_at": now,
        "attempts": 0,
        "next_attempt_at": None,
        "lease_token": commitments.c.lease_token + 1,
    }
    connection.execute(sa.update(commitments).where(commitments.c.id == row.id).values(values))
    references = sa.update(commitment_references).where(commitment_references.c.commitment_id == row.id)
    connection.execute(references.values(failure_reason=None))


def _add_references(connection: Connection, commitment_id: int, references: Sequence[ReferencedInstance]) -> None:
    rows = [
        {
            "commitment_id": commitment_id,
            "position": position,
            "sop_class_uid": reference.sop_class_uid,
            "sop_instance_uid": reference.sop_instance_uid,
        }
        for position, reference in enumerate(references)
    ]
    connection.execute(sa.insert(commitment_references), rows)


def _outcomes(connection: Connection, commitment_id: int) -> list[tuple[ReferencedInstance, FailureReason | None]]:
    rows = connection.execute(
        sa.select(commitment_references)
        .where(commitment_references.c.commitment_id == commitment_id)
        .order_by(commitment_references.c.position)
    )
    return [
        (
            ReferencedInstance(sop_class_uid=row.sop_class_uid, sop_instance_uid=row.sop_instance_uid),
            None if row.failure_reason is None else FailureReason(row.failure_reason),
        )
        for row in rows
    ]


def _was_used(connection: Connection, row: sa.Row[Any]) -> bool:
    """Return whether the Transaction UID of a request stands in an earlier one of the same requestor."""
    earlier = sa.select(commitments.c.id).where(
        commitments.c.calling_ae == row.calling_ae,
        commitments.c.transaction_uid == row.transaction_uid,
        commitments.c.id < row.id,
    )
    return connection.execute(earlier.limit(1)).one_or_none() is not None


def _on_record(connection: Connection, commitment_id: int) -> dict[str, Instance]:
    rows = connection.execute(
        sa.select(instances)
        .join(commitment_references, commitment_references.c.sop_instance_uid == instances.c.sop_instance_uid)
        .where(commitment_references.c.commitment_id == commitment_id)
    )
    return {row["sop_instance_uid"]: instance_of(row) for row in rows.mappings()}


def _write_reasons(connection: Connection, commitment_id: int, outcomes: Sequence[FailureReason | None]) -> None:
    rows = [
        {"at_position": position, "reason": int(reason)}
        for position, reason in enumerate(outcomes)
        if reason is not None
    ]
    if rows:
        at = commitment_references.c.position == sa.bindparam("at_position")
        of = commitment_references.c.commitment_id == commitment_id
        reasons = sa.update(commitment_references).where(of, at).values(failure_reason=sa.bindparam("reason"))
        connection.execute(reasons, rows)


def _tell_of_damage(connection: Connection, commitment_id: int, now: datetime) -> None:
    """Write an event into the history of every series in which a damaged file was found."""
    damaged = (
        sa.select(series.c.id, instances.c.sop_instance_uid)
        .select_from(commitment_references)
        .join(instances, instances.c.sop_instance_uid == commitment_references.c.sop_instance_uid)
        .join(
            series,
            sa.and_(
                series.c.study_instance_uid == instances.c.study_instance_uid,
                series.c.series_instance_uid == instances.c.series_instance_uid,
            ),
        )
        .where(
            commitment_references.c.commitment_id == commitment_id,
            commitment_references.c.failure_reason == int(FailureReason.PROCESSING_FAILURE),
        )
        .distinct()
    )
    for row in connection.execute(damaged).all():
        detail = f"The file of SOP Instance UID {row.sop_instance_uid} is not what was received."
        history.record(connection, Action.INSTANCE_DAMAGED, detail, now=now, series_id=row.id)


def _claiming(now: datetime, lease_until: datetime) -> Any:
    """Return the one statement that finds a due report and takes it."""
    candidate = (
        sa.select(commitments.c.id)
        .where(_VERIFIED, commitments.c.next_attempt_at <= now)
        .order_by(commitments.c.next_attempt_at, commitments.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .correlate(None)
    )
    values = {
        "attempts": commitments.c.attempts + 1,
        "lease_token": commitments.c.lease_token + 1,
        "next_attempt_at": lease_until,
    }
    claimed = commitments.c.id == candidate.scalar_subquery()
    return sa.update(commitments).where(claimed).values(values).returning(*commitments.c)


def _fenced(connection: Connection, report: OwedCommitmentReport, **values: Any) -> None:
    """Write to a request's row if its report still is this sender's."""
    mine = sa.and_(commitments.c.id == report.id, _VERIFIED, commitments.c.lease_token == report.lease_token)
    if connection.execute(sa.update(commitments).where(mine).values(values)).rowcount != 1:
        raise LeaseLost(
            f"The report on transaction {report.transaction_uid} is no longer held by attempt {report.attempts}."
        )


def _record_of(row: sa.Row[Any]) -> CommitmentRecord:
    same_name = (
        "id", "calling_ae", "transaction_uid", "state", "instances", "failed", "requested_at", "attempts",
        "next_attempt_at", "detail",
    )  # fmt: skip
    return CommitmentRecord(**{name: row._mapping[name] for name in same_name})
