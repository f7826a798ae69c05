"""The names of our documents: each is used once, also after its document is gone. And whose they are."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Integer, and_, bindparam, literal, or_, select, update

from storage.mirror import chunks
from storage.models import links, outbox


def of_link(link_id: int) -> ColumnElement[bool]:
    """Rows of a link, so that the few in some state are found without going through all it ever posted: the index of
    states begins with the connection. The sum keeps SQLite from an index that begins with the link.
    """
    return _of_link(literal(link_id))


def _of_link(link_id: ColumnElement[int]) -> ColumnElement[bool]:
    books = select(links.c.ledger_id).where(links.c.id == link_id).scalar_subquery()
    return and_(outbox.c.link_id + 0 == link_id, outbox.c.connection_id == books)


OF_LINK = _of_link(bindparam("link", type_=Integer))  # the same, for statements that are made once


def next_free(conn: Connection, link_id: int, source: str, kind: str) -> str:
    """The name of the next document of a kind for a Stripe object: markers are spent for good."""
    head = f"{source}:{kind}:r"
    rows = conn.execute(
        select(outbox.c.marker).where(outbox.c.link_id == link_id, outbox.c.marker.startswith(head, autoescape=True))
    )
    used = [int(marker.removeprefix(head).partition(":")[0]) for marker in rows.scalars()]
    return f"{head}{max(used, default=0) + 1}:s1"


def spent(conn: Connection, connection_id: int) -> frozenset[str]:
    """Those of documents that are gone."""
    gone = (outbox.c.connection_id == connection_id, outbox.c.state == "spent")
    return frozenset(conn.execute(select(outbox.c.marker).where(*gone)).scalars())


def documents_of(conn: Connection, connection_id: int, kind: str, sources: Sequence[str]) -> dict[str, str]:
    """By Stripe object, our document of a kind that is in the books, whichever revision made it."""
    found: dict[str, str] = {}
    for chunk in chunks(sources, 50):
        named = or_(*(outbox.c.marker.startswith(f"{each}:{kind}:", autoescape=True) for each in chunk))
        these = (outbox.c.connection_id == connection_id, outbox.c.state.in_(("posted", "verified")), named)
        rows = conn.execute(select(outbox.c.marker, outbox.c.document_id).where(*these))
        found |= {row.marker.partition(":")[0]: row.document_id for row in rows}
    return found


def spend(conn: Connection, link_id: int, marker: str) -> None:
    """Its document is gone and another takes its place: the name is used up, and stands for nothing."""
    conn.execute(update(outbox).where(outbox.c.link_id == link_id, outbox.c.marker == marker).values(state="spent"))
