"""Row 21: what was open at the cut-over, held against the emulated books until it ends."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconcile.postings import ROLES
from storage import connections, go_live
from storage.engine import Database
from storage.records import to_json
from tests.integration.conftest import START, Company, link
from tests.integration.test_rows import balance, sync_and_check, use


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: nothing here is about SQL."""
    return sqlite_database


def say(company: Company, choice: str) -> None:
    with company.environment.database.write() as conn:
        policies = replace(connections.link(conn, 1).policies, open_items=choice)
        connections.change_link(conn, 1, policies=to_json(policies))


@pytest.mark.parametrize("ends", ["dispute_losses", "dispute_wins"])
def test_a_dispute_that_was_open_at_the_cutover_is_closed_by_us(company: Company, ends: str) -> None:
    company.clock.set(START - timedelta(days=5))
    stripe_customer, _ = company.customer()
    intent = company.pay(stripe_customer, 10_000)
    company.pass_time(minutes=1)
    dispute = use(company, "disputes", charge=intent["latest_charge"])
    company.pass_time(days=5)
    sync_and_check(company)
    (start,) = go_live.view(company.environment.database, link(company).id).starts or ()
    assert [(each.id, each.taken_minor) for each in start.disputes] == [(dispute["id"], 10_000)]
    assert balance(company, ROLES["disputes_receivable"]) == 0, "nobody has said yet whether the books have it"

    say(company, "post")
    sync_and_check(company)
    assert balance(company, ROLES["disputes_receivable"]) == 10_000
    use(company, ends, dispute=dispute["id"])
    sync_and_check(company, days=1)
    assert balance(company, ROLES["disputes_receivable"]) == 0
    assert balance(company, ROLES["dispute_losses"]) == (10_000 if ends == "dispute_losses" else 0)
    company.sync()
    markers = [body["PrivateNote"] for body in company.ours("JournalEntry") if ":opening:" in body["PrivateNote"]]
    assert len(markers) == 1


def test_a_reserve_that_was_held_at_the_cutover_ends_at_nothing(company: Company) -> None:
    company.clock.set(START - timedelta(days=5))
    stripe_customer, _ = company.customer()
    company.pay(stripe_customer, 100_000)
    company.pass_time(minutes=1)
    held = {"type": "reserve_hold", "category": "risk_reserved_funds"}
    let_go = {"type": "reserve_release", "category": "risk_reserved_funds"}
    for amount, more in ((50_000, held), (-20_000, let_go)):
        use(company, "balance_transactions", amount=-amount, **more)
        use(company, "balance_transactions", amount=amount, balance_type="risk_reserved", **more)
    company.pass_time(days=5)
    sync_and_check(company)
    (start,) = go_live.view(company.environment.database, link(company).id).starts or ()
    assert start.reserved_minor == 30_000
    assert balance(company, ROLES["reserve"]) == 0, "nobody has said yet whether the books have it"

    say(company, "post")
    sync_and_check(company)
    assert balance(company, ROLES["reserve"]) == 30_000
    use(company, "balance_transactions", amount=30_000, **let_go)
    sync_and_check(company)
    assert balance(company, ROLES["reserve"]) == 0
    company.sync()
    assert len([body for body in company.ours("JournalEntry") if ":reserve-usd:" in body["PrivateNote"]]) == 1
