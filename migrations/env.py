"""Alembic runs this for every command; the connection, and its transaction, are the caller's."""

from alembic import context

from stact_pacs.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
