"""The names of our documents: each is used once, also after its document is gone."""

from sqlalchemy import Connection, select, update

from storage.models import outbox


def next_free(conn: Connection, link_id: int, source: str, kind: str) -> str:
    """The name of the next document of a kind for a Stripe object: markers are spent for good."""
    head = f"{source}:{kind}:r"
    rows = conn.execute(
        select(outbox.c.marker).where(outbox.c.link_id == link_id, outbox.c.marker.startswith(head, autoescape=True))
    )
    used = [int(marker.removeprefix(head).partition(":")[0]) for marker in rows.scalars()]
    return f"{head}{max(used, default=0) + 1}:s1"


def spend(conn: Connection, link_id: int, marker: str) -> None:
    """Its document is gone and another takes its place: the name is used up, and stands for nothing."""
    conn.execute(update(outbox).where(outbox.c.link_id == link_id, outbox.c.marker == marker).values(state="spent"))
