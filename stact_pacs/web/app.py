"""The pages and the API. They only read; whoever can open them sees UIDs, states and scores, and no patient."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.middleware.trustedhost import TrustedHostMiddleware

from stact_pacs.domain.jobs import JobState
from stact_pacs.errors import DatabaseUnavailable, NotFound
from stact_pacs.shipped import shipped
from stact_pacs.web import views
from stact_pacs.web.ports import Records
from stact_pacs.web.status import exposition, look

LOCAL_HOSTS = ("127.0.0.1", "localhost")
_JOBS_ON_PAGE = 50
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Clock = Callable[[], datetime]


def create_app(
    records: Records,
    reports_dir: Path,
    *,
    allowed_hosts: Sequence[str] = LOCAL_HOSTS,
    clock: Clock = lambda: datetime.now(UTC),
) -> FastAPI:
    """Return the ASGI application.

    Parameters
    ----------
    reports_dir
        Folder of the HTML reports, shown under `/reports/`; need not exist yet.
    allowed_hosts
        Values of the Host header that are answered. It keeps a web page that a browser on this machine has open
        from reading ours under a name of its own (DNS rebinding).
    clock
        Gives the time, aware and UTC.
    """
    app = FastAPI(title="STACT-PACS", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))
    app.middleware("http")(_with_safe_headers)
    app.add_exception_handler(NotFound, _not_found)
    app.add_exception_handler(DatabaseUnavailable, _unavailable)
    app.include_router(_machine_routes(records, clock))
    app.include_router(_page_routes(records, clock))
    app.mount("/reports", StaticFiles(directory=reports_dir, html=True, check_dir=False), name="reports")
    return app


def _machine_routes(records: Records, clock: Clock) -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    def health() -> JSONResponse:
        status = look(records, clock())
        return JSONResponse(views.status_view(status), status_code=200 if status.is_healthy else 503)

    @router.get("/metrics")
    def metrics() -> Response:
        return Response(exposition(look(records, clock())), media_type=CONTENT_TYPE_LATEST)

    @router.get("/api/jobs")
    def jobs(state: JobState | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> list[dict[str, Any]]:
        return [views.job_view(job) for job in records.jobs.list(state=state, limit=limit)]

    @router.get("/api/jobs/{job_id}")
    def job(job_id: Annotated[int, PathParameter(ge=1, le=2**63 - 1)]) -> dict[str, Any]:
        return views.case_view(records.jobs.case(job_id))

    return router


def _page_routes(records: Records, clock: Clock) -> APIRouter:
    router = APIRouter()
    environment = Environment(
        loader=FileSystemLoader(shipped("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    @router.get("/")
    def index() -> HTMLResponse:
        now = clock()
        status = look(records, now)
        jobs = records.jobs.list(limit=_JOBS_ON_PAGE) if status.is_healthy else []
        page = environment.get_template("web_index.html").render(status=status, jobs=jobs, now=now)
        return HTMLResponse(page, status_code=200 if status.is_healthy else 503)

    return router


async def _with_safe_headers(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await answer(request)
    response.headers.update(_HEADERS)
    return response


def _not_found(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=404)


def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=503)
