"""Notes about Stripe objects, and whom they ask: what a colleague wants to know before something is decided."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, func, select

from storage.engine import Database
from storage.models import notes as table


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    at: datetime
    actor: str
    text: str
    asked: str | None


def add(conn: Connection, link_id: int, source_id: str, note: Note) -> int:
    values = {"at": note.at, "actor": note.actor, "text": note.text, "asked": note.asked}
    added = conn.execute(table.insert().values(link_id=link_id, source_id=source_id, **values).returning(table.c.id))
    return int(added.scalar_one())


def about(database: Database, link_id: int, source_id: str) -> list[Note]:
    """The oldest first."""
    these = (table.c.link_id == link_id, table.c.source_id == source_id)
    with database.read() as conn:
        rows = conn.execute(select(table).where(*these).order_by(table.c.id)).all()
    return [Note(at=row.at, actor=row.actor, text=row.text, asked=row.asked) for row in rows]


def asked(link_id: int, person: str) -> Select[tuple[str]]:
    """The objects whose newest note asks this person."""
    newest = select(func.max(table.c.id)).where(table.c.link_id == link_id).group_by(table.c.source_id)
    return select(table.c.source_id).where(table.c.id.in_(newest), table.c.asked == person)
