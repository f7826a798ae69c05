"""The rules of a link: tried on what is open, without a trace, and saved. What was posted stays as it is either way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconcile import rulebook
from reconcile.days import book_day
from reconcile.postings import Mappings, Policies
from reconcile.rulebook import RuleBook
from storage import chart, connections, hindsight, previews
from storage.connections import Link
from storage.engine import Database, rehearse
from storage.previews import Preview
from storage.records import to_json
from storage.users import User
from sync import choosing
from sync.commands import RefusedError, check
from sync.deciding import decide, model_of
from sync.environment import Environment

# As long as rules are tried, SQLite lets nobody else write, syncs among them.
OPEN_MAX = 20_000


def book_of(mappings: Mappings, policies: Policies) -> RuleBook:
    return RuleBook(matching=policies.matching, posting=mappings.rules)


def certified(database: Database, link_id: int) -> frozenset[str]:
    """The tiers that may take by themselves."""
    with database.read() as conn:
        return frozenset(model_of(connections.link(conn, link_id)).thresholds)


def preview_rules(environment: Environment, actor: User, link_id: int, book: RuleBook) -> Preview:
    """What these rules would change of all that is open, as a sync after saving them would do it. Writes nothing."""
    database, clock = environment.database, environment.clock
    with database.read() as conn:
        check(conn, actor, "map")
        link = connections.link(conn, link_id)
        _refuse_wrong(conn, link, book)
        _refuse_large(conn, link, database.dialect)
    with rehearse(database) as trial:
        decide(trial, clock, link_id)
        return _compared(trial, environment, link_id, book)


def look_back(environment: Environment, actor: User, link_id: int, book: RuleBook, days: int) -> Preview:
    """What these rules would have made of the last `days` days, compared with the present ones, as if nothing of these
    days had been decided yet. Writes nothing, and saving the rules changes nothing of what was posted.
    """
    database, clock = environment.database, environment.clock
    with database.read() as conn:
        check(conn, actor, "map")
        link = connections.link(conn, link_id)
        since = book_day(clock.now(), link.time_zone) - timedelta(days=days)
        _refuse_wrong(conn, link, book)
        _refuse_large(conn, link, database.dialect, hindsight.count(conn, link, since))
    with rehearse(database) as trial:
        with trial.write() as conn:
            leg_ids = hindsight.reopen(conn, link, since)
            connections.change_link(conn, link_id)
        decide(trial, clock, link_id)
        return _compared(trial, environment, link_id, book, leg_ids)


def change_rules(environment: Environment, actor: User, link_id: int, seen: RuleBook, book: RuleBook) -> bool:
    """The rules instead of those the person saw; False if they are the same. What is open is decided anew."""
    now = environment.clock.now()
    with environment.database.write() as conn:
        check(conn, actor, "map")
        link = connections.link(conn, link_id)
        present = book_of(link.mappings, link.policies)
        if seen != present:
            raise RefusedError("Somebody changed the rules since you looked at them. Look again, then change them.")
        if book == present:
            return False
        _refuse_wrong(conn, link, book)
        detail = {"before": to_json(present), "after": to_json(book)}
        choosing.change(conn, now, actor.email, link, "changed rules", detail, **_values(link, book))
    return True


def _compared(
    trial: Database, environment: Environment, link_id: int, book: RuleBook, also: Sequence[str] = ()
) -> Preview:
    """What other rules change of what is open on trial, and of the legs `also`."""
    with trial.read() as conn:
        link = connections.link(conn, link_id)
        before = previews.moment(conn, link, also)
    with trial.write() as conn:
        connections.change_link(conn, link_id, **_values(link, book))
    decide(trial, environment.clock, link_id)
    with trial.read() as conn:
        return previews.compare(conn, link, before, previews.moment(conn, link, before.legs))


def _values(link: Link, book: RuleBook) -> Mapping[str, Any]:
    return {
        "mappings": to_json(replace(link.mappings, rules=book.posting)),
        "policies": to_json(replace(link.policies, matching=book.matching)),
    }


def _refuse_wrong(conn: Any, link: Link, book: RuleBook) -> None:
    found = [*rulebook.wrong(book), *_unknown(conn, link, book)]
    if found:
        raise RefusedError(" ".join(found))


def _unknown(conn: Any, link: Link, book: RuleBook) -> list[str]:
    """Rules that name what QuickBooks does not have."""
    lists = chart.load(conn, link.ledger_id)
    found = []
    for number, rule in enumerate(book.posting, start=1):
        named: list[tuple[str | None, Mapping[str, Any]]] = [
            (rule.labels.item_id, lists.items),
            (rule.labels.class_id, lists.classes),
            (rule.labels.location_id, lists.departments),
            (rule.labels.payment_method_id, lists.payment_methods),
            (rule.account_id, lists.accounts),
        ]
        if any(value and (value not in table or not table[value].active) for value, table in named):
            found.append(f"Rule {number} names something that QuickBooks does not have, or not any more.")
        elif rule.account_id and rule.account_id in link.mappings.clearing.values():
            found.append(f"Rule {number} books fees on the clearing account, which is the Stripe balance alone.")
    return found


def _refuse_large(conn: Any, link: Link, dialect: str, more: int = 0) -> None:
    if not previews.is_read(conn, link):
        raise RefusedError("Nothing was read from Stripe yet. Sync first, then try the rules.")
    if dialect == "sqlite" and (number := previews.count_open(conn, link) + more) > OPEN_MAX:
        raise RefusedError(
            f"{number:,} entries are too many to try rules on while others work: SQLite lets one write at a "
            f"time. Settle some in Review, or move to PostgreSQL. Up to {OPEN_MAX:,} can be tried."
        )
