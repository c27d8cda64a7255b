"""Other results of a case's patient. Every function runs in the caller's transaction.

A patient is found by digests only. Two results are of one patient when Patient ID, issuer and birth date are all
stated and the same; less than that is counted and not shown, because a list that mixes two patients is worse than
one that is short.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from stact_pacs.domain.jobs import Outcome
from stact_pacs.domain.records import EarlierResult, EarlierResults
from stact_pacs.domain.results import CaseResult
from stact_pacs.store.history import Action
from stact_pacs.store.revisions import replaces
from stact_pacs.store.schema import events, job_instances, job_patients, jobs, series


def remember(connection: Connection, job_id: int, result: CaseResult) -> None:
    """Put on record by what the results of this patient are found."""
    patient = result.patient
    row = {
        "job_id": job_id,
        "patient_id_digest": patient and patient.patient_id,
        "patient_digest": patient and patient.patient,
        "study_date": result.study_date,
    }
    connection.execute(sa.insert(job_patients).values(row))


def know_patients(connection: Connection) -> bool:
    """Say whether any result has a patient's digest."""
    found = sa.select(job_patients.c.job_id).where(job_patients.c.patient_id_digest.is_not(None)).limit(1)
    return connection.execute(found).scalar_one_or_none() is not None


def study_date(connection: Connection, job_id: int) -> Any:
    """Return the Study Date of a job with a result; None when it is not stated."""
    return connection.execute(
        sa.select(job_patients.c.study_date).where(job_patients.c.job_id == job_id)
    ).scalar_one_or_none()


def replaced_by(connection: Connection, job_id: int) -> str | None:
    """Return the key of the newest job whose result replaces that of this one."""
    newest = sa.select(_newer.c.job_key).join(jobs, jobs.c.id == job_id).where(_REPLACES)
    found: str | None = connection.execute(newest.order_by(_newer.c.id.desc()).limit(1)).scalar_one_or_none()
    return found


def earlier_results(connection: Connection, job_id: int) -> EarlierResults:
    """Return what is on record of the job's patient beside the job; nothing while the job has no result."""
    mine = connection.execute(_RESULTS.where(jobs.c.id == job_id)).one_or_none()
    if mine is None:
        return EarlierResults()
    others = connection.execute(_others(mine)).all()
    study = [row for row in others if row.study_instance_uid == mine.study_instance_uid]
    before = [row for row in others if row.study_instance_uid != mine.study_instance_uid and _is_listed(row)]
    confirmed = [row for row in before if mine.patient_digest and row.patient_digest == mine.patient_digest]
    day = _result(mine).day
    earlier = [result for result in map(_result, confirmed) if result.day <= day]
    unconfirmed = {row.study_instance_uid for row in before} - {row.study_instance_uid for row in confirmed}
    return EarlierResults(
        same_study=tuple(_result(row) for row in study if _is_listed(row)),
        other_studies=tuple(sorted(earlier, key=lambda result: (result.day, result.job_id), reverse=True)),
        same_study_not_scored=sum(not _is_listed(row) for row in study),
        unconfirmed_studies=len(unconfirmed),
    )


def showing(connection: Connection, event_id: int) -> set[int]:
    """Return the jobs whose page lists a job that came to its result after that event, or was replaced by one.

    Results come in the order of the studies as a rule, so these are mostly the other cines of the same study.
    """
    if event_id == 0:
        return set()  # every job has changed since
    finished = sa.select(events.c.job_id).where(events.c.id > event_id, events.c.action == Action.JOB_FINISHED.value)
    listing = (_that_list(connection, job_id) for job_id in connection.execute(finished).scalars().all())
    return {other for others in listing for other in others}


def _that_list(connection: Connection, job_id: int) -> Iterator[int]:
    mine = connection.execute(_RESULTS.where(jobs.c.id == job_id)).one_or_none()
    if mine is None:
        return
    for row in connection.execute(_others(mine)).all():
        same_study = row.study_instance_uid == mine.study_instance_uid
        if same_study or _result(row).day >= _result(mine).day:
            yield row.id
    replaced = sa.select(jobs.c.id).join(_newer, _newer.c.id == job_id).where(_REPLACES)
    yield from connection.execute(replaced).scalars()


_newer = jobs.alias("newer")
_REPLACES = sa.and_(replaces(_newer, jobs), _newer.c.outcome.is_not(None))
"""A result of a later revision, of a cine that has an instance of this one."""
_IS_REPLACED = sa.select(_newer.c.id).where(_REPLACES).correlate(jobs).exists()

_RESULTS = (
    sa.select(
        jobs.c.id,
        jobs.c.job_key,
        jobs.c.outcome,
        jobs.c.record,
        jobs.c.created_at,
        job_patients.c.patient_id_digest,
        job_patients.c.patient_digest,
        job_patients.c.study_date,
        series.c.study_instance_uid,
        series.c.series_instance_uid,
    )
    .join(job_patients, job_patients.c.job_id == jobs.c.id)
    .join(series, series.c.id == jobs.c.series_id)
)


def _others(mine: Any) -> sa.Select[Any]:
    """Return the query of the results under the same Patient ID that are of other cines, and were not replaced.

    Without a Patient ID it finds the cines of the same study that have none either.
    """
    instances_of_mine = sa.select(job_instances.c.instance_id).where(job_instances.c.job_id == mine.id)
    shares_an_instance = sa.exists().where(
        job_instances.c.job_id == jobs.c.id, job_instances.c.instance_id.in_(instances_of_mine)
    )
    found = _RESULTS.where(jobs.c.id != mine.id, ~shares_an_instance, ~_IS_REPLACED).order_by(jobs.c.id)
    if mine.patient_id_digest is None:
        return found.where(
            series.c.study_instance_uid == mine.study_instance_uid, job_patients.c.patient_id_digest.is_(None)
        )
    return found.where(job_patients.c.patient_id_digest == mine.patient_id_digest)


def _is_listed(row: Any) -> bool:
    return bool(row.outcome is not Outcome.NOT_SCORED)


def _result(row: Any) -> EarlierResult:
    return EarlierResult(
        job_id=row.id,
        job_key=row.job_key,
        study_instance_uid=row.study_instance_uid,
        series_instance_uid=row.series_instance_uid,
        study_date=row.study_date,
        created_at=row.created_at,
        outcome=row.outcome,
        record=row.record,
    )
