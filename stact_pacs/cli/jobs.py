"""`jobs`: see the queue and move what is in it."""

from typing import Annotated

import typer

from stact_pacs.app import utc_now
from stact_pacs.cli.context import AsJson, opened
from stact_pacs.cli.output import console, print_fields, print_json, print_rows
from stact_pacs.domain.jobs import JobState
from stact_pacs.record import earlier_record

app = typer.Typer(help="See the jobs, and move them.", no_args_is_help=True)

JobId = Annotated[int, typer.Argument(metavar="ID", help="Number of the job, as `jobs list` shows it.")]


@app.command("list")
def list_jobs(
    ctx: typer.Context,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, newest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List the jobs, newest first."""
    with opened(ctx) as stact:
        rows = stact.jobs.list(state=state, limit=limit)
    columns = ("id", "state", "outcome", "reason", "probability", "attempts", "created_at", "series_instance_uid")
    print_rows(rows, columns, as_json=as_json, empty="There are no jobs.")


@app.command()
def show(ctx: typer.Context, job: JobId, as_json: AsJson = False) -> None:
    """Show all that is known of a job."""
    with opened(ctx) as stact:
        case = stact.jobs.case(job)
    if as_json:
        print_json(
            {
                "id": case.id,
                "job_key": case.job_key,
                "state": case.state,
                "attempts": case.attempts,
                "created_at": case.created_at,
                "result": case.record,
                "deliveries": case.deliveries,
                "events": case.events,
                "study_date": case.study_date.isoformat() if case.study_date else None,
                "replaced_by": case.replaced_by,
                "earlier_results": earlier_record(case.earlier),
            }
        )
        return
    record = case.record or {}
    print_fields(
        {
            "id": case.id,
            "state": case.state,
            "job_key": case.job_key,
            "attempts": case.attempts,
            "outcome": record.get("outcome"),
            "reason": record.get("reason_text"),
        }
    )
    nodules = record.get("nodules", [])
    for number, nodule in enumerate(nodules, start=1):
        console.print(f"nodule {number}: probability {nodule['probability']:.3f} ± {nodule['probability_sd']:.3f}")
    print_rows(case.deliveries, ("kind", "destination", "state", "attempts", "detail"), as_json=False, empty="")
    print_rows(case.events, ("at", "action", "detail"), as_json=False, empty="")


@app.command()
def retry(ctx: typer.Context, job: JobId) -> None:
    """Make a failed or cancelled job wait again, with fresh attempts."""
    with opened(ctx) as stact:
        stact.jobs.retry(job, now=utc_now())
    console.print(f"Job {job} waits again.")


@app.command()
def cancel(ctx: typer.Context, job: JobId) -> None:
    """Stop a job that has not run."""
    with opened(ctx) as stact:
        stact.jobs.cancel(job, now=utc_now())
    console.print(f"Job {job} is cancelled.")


@app.command()
def hold(ctx: typer.Context, job: JobId) -> None:
    """Put a waiting job aside."""
    with opened(ctx) as stact:
        stact.jobs.hold(job, now=utc_now())
    console.print(f"Job {job} is held.")


@app.command()
def release(ctx: typer.Context, job: JobId) -> None:
    """Let a held job wait again."""
    with opened(ctx) as stact:
        stact.jobs.release(job, now=utc_now())
    console.print(f"Job {job} waits again.")


@app.command()
def prioritise(
    ctx: typer.Context,
    job: JobId,
    priority: Annotated[int, typer.Argument(min=0, max=100, help="Higher runs earlier; 0 is ordinary.")] = 50,
) -> None:
    """Let a job run before others."""
    with opened(ctx) as stact:
        stact.jobs.prioritise(job, priority, now=utc_now())
    console.print(f"Job {job} has priority {priority}.")
