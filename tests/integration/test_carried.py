"""A proof of what was carried forward is the proof of everything, whatever happens to a day that was settled."""

from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from reconcile import closing
from reconcile.days import book_day
from storage import carried, closes, connections, mirror, proof
from tests.integration.conftest import Company, link
from tests.integration.test_rows import paid_charge, sync_and_check
from tests.integration.test_undo import decide_again, undo


def settle_days(company: Company) -> None:
    """Charges on several days, all of them in the books."""
    paid_charge(company)
    stripe_customer, customer = company.customer("Red Foods", "ap@red.example")
    for number in range(2, 4):
        company.pass_time(days=1)
        company.invoice(customer, 1_000 * number, f"INV-{number}")
        company.pay(stripe_customer, 1_000 * number, f"Invoice INV-{number}")
    sync_and_check(company)
    sync_and_check(company)  # they are verified


def test_what_is_settled_is_read_as_sums_and_what_touches_it_as_it_is(company: Company) -> None:
    settle_days(company)
    today = book_day(company.clock.now(), link(company).time_zone)
    with company.environment.database.read() as conn:
        whole, quick = proof.load(conn, link(company)), carried.load(conn, link(company))
    settled = whole.legs.filter(pl.col("booked_on") == pl.col("day"))
    assert quick.settled["amount_minor"].sum() == settled["amount_minor"].sum() != 0
    assert quick.legs.height == whole.legs.height - settled.height  # the payout, on its way

    # Somebody changed a payment of an earlier day, and this has been read, but not yet carried forward.
    with company.environment.database.write() as conn:
        payments = mirror.load_all(conn, link(company).ledger_id, ["payment"])
        first = min(payments, key=lambda each: (each.dated, each.id))
        changed = replace(first, dated=first.dated + timedelta(days=1))
        stored = [("payment", first.id, changed, "{}")]
        mirror.store(conn, link(company).ledger_id, stored, at=company.clock.now(), actor="quickbooks")
    with company.environment.database.read() as conn:
        whole, quick = proof.load(conn, link(company)), carried.load(conn, link(company))
    proven = quick.prove(today)
    assert proven.items.equals(whole.prove(today).items)
    assert proven.days.equals(whole.prove(today).days)
    assert first.id in proven.items.filter(reason="drift")["document_id"]
    assert 0 < quick.legs.height < whole.legs.height


def test_counts_that_were_kept_are_those_of_everything_before_the_next_sync(company: Company) -> None:
    """What was posted waits again while it is undone, and is posted again when the undo is called off."""
    settle_days(company)
    database = company.environment.database
    with database.read() as conn:
        before, as_of = carried.tally(conn, link(company)), carried.as_of(conn, link(company).id)
    decision_id = undo(company)
    with database.read() as conn:
        assert carried.is_tallied(conn, link(company))
        assert carried.tally(conn, link(company)).filter(reason="undoing")["entries"].sum() > 0
    assert decide_again(company, decision_id)
    with database.read() as conn:
        again = carried.tally(conn, link(company))
        assert carried.as_of(conn, link(company).id) == as_of, "nothing was carried forward meanwhile"
    assert again.sort(again.columns).equals(before.sort(before.columns))


def test_other_settings_make_the_sums_anew(company: Company) -> None:
    settle_days(company)
    database = company.environment.database
    with database.write() as conn:
        connections.change_link(conn, link(company).id, time_zone="Asia/Tokyo")
    with database.read() as conn:
        assert carried.load(conn, link(company)).settled.is_empty()
    assert carried.refresh(database, link(company).id) > 0
    assert carried.refresh(database, link(company).id) == 0
    with database.read() as conn:
        assert not carried.load(conn, link(company)).settled.is_empty()


def test_a_period_s_figures_are_those_of_everything(company: Company) -> None:
    settle_days(company)
    database, opened = company.environment.database, link(company).cutover
    last = book_day(company.clock.now(), link(company).time_zone)
    for first in (opened, last - timedelta(days=1), last):
        with database.read() as conn:
            tally = closes._counted(conn, link(company), first, last)
            both = proof.load(conn, link(company)), carried.load(conn, link(company), (first, last))
            told = [closes._figures(sides, tally, sides.prove(last), first, last) for sides in both]
            quick = carried.load(conn, link(company))
            sums = closes._sums(
                quick, closes._inside(carried.tally(conn, link(company)), first, last), quick.prove(last), first, last
            )
        assert told[0] == told[1]
        assert told[0].booked or first == last
        assert told[0].sums == sums
        assert quick.settled["count"].sum()
        if told[0].booked:
            whole = both[0].clearing.filter(pl.col("document_id") != told[0].booked[0].document_id)
            with pytest.raises(ArithmeticError, match="not those that make its sums"):
                closing.figures(sums, quick.prove(last), whole)
