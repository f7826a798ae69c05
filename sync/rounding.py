"""The monthly entry of what the books cannot keep of currencies with three decimals; see reconcile.rounding.

Planned beside the legs' own postings, once those are in the books.
"""

from typing import Any

from reconcile.days import first_open, is_closed_day
from reconcile.records import Company
from reconcile.rounding import plan_rounding
from storage import connections, legs, mirror, outbox, rounding
from storage.connections import Link
from storage.engine import Database
from sync.cents import PLANNER
from sync.ports import Clock


def complete(database: Database, clock: Clock, link_id: int) -> int:
    """Plans what the months that are over still need; gives how many entries."""
    with database.read() as conn:
        if not rounding.load(conn, connections.link(conn, link_id)):
            return 0
    with database.write() as conn:
        return _plan(conn, clock, connections.link(conn, link_id))


def _plan(conn: Any, clock: Clock, link: Link) -> int:
    account, newest = link.mappings.accounts.get("rounding"), rounding.latest_day(conn, link.id)
    if account is None or newest is None:
        return 0  # the proof lists them until there is one
    company: Company | None = mirror.load(conn, link.ledger_id, "company", ["company"]).get("company")
    closed = company.closed_through if company else None
    postings = plan_rounding(
        rounding.load(conn, link),
        account_id=connections.connection(conn, link.processor_id).external_id,
        home_currency=mirror.home_currency(conn, link.ledger_id),
        clearing=link.mappings.clearing,
        rounding_account=account,
        before=newest,
        made=rounding.made(conn, link.id),
    )
    if link.policies.closed_period == "wait":
        postings = [each for each in postings if not is_closed_day(closed, each.dated)]
    postings = [first_open(each, closed) for each in postings]
    outbox.plan(
        conn,
        link_id=link.id,
        connection_id=link.ledger_id,
        postings=postings,
        at=clock.now(),
        asked_by=PLANNER,
    )
    for posting in postings:
        leg_ids = [share.leg_id for share in posting.shares]
        legs.rebook(conn, link.id, leg_ids, None, posting.marker)
        _close(conn, link, sorted({each.partition(":")[0] for each in leg_ids}))
    return len(postings)


def _close(conn: Any, link: Link, movement_ids: list[str]) -> None:
    """What was only too small for the books is settled with its entry."""
    known = legs.decided(conn, link.id, movement_ids)
    waiting = {leg_id.partition(":")[0] for leg_id, is_decided in known.items() if not is_decided}
    mirror.close_movements(conn, link.processor_id, [each for each in movement_ids if each not in waiting])
