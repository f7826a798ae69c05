"""Alembic's entry: runs the revisions on the connection that storage.migrate passes, inside its transaction."""

from typing import Literal

from alembic import context
from sqlalchemy.types import TypeEngine

from storage.types import Json, Utc


def render_type(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Revisions spell our types as the database's own, so that they stay as they were when ours change."""
    if kind == "type" and isinstance(item, Utc | Json):
        impl = item.impl
        assert isinstance(impl, TypeEngine)
        return f"sa.{impl!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes.get("metadata"),
    render_as_batch=True,  # SQLite alters a table by copying it
    render_item=render_type,
)
with context.begin_transaction():
    context.run_migrations()
