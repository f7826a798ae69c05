"""What a person decides in Review is carried out once, bound to what was seen, and can be taken back."""

from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import select

from storage import review, search, users
from storage.models import audit, legs
from storage.review import Detail
from storage.users import User
from sync import commands
from sync.commands import NotAllowedError, RefusedError
from tests import laws
from tests.integration.conftest import Company, link

T = TypeVar("T")


def person(company: Company, role: str = "accountant") -> User:
    email = f"{role}@example.com"
    with company.environment.database.write() as conn:
        user_id = users.ensure_user(conn, email=email, name=role, role=role)
    return User(id=user_id, email=email, name=role, role=role)


def waits(company: Company, reason: str | None = None) -> Detail:
    """The only item in Review."""
    database, link_id = company.environment.database, link(company).id
    (item,) = search.page(database, link_id).items
    assert reason in (None, item.reason), item.detail
    detail = review.detail(database, link_id, item.source_id)
    assert detail is not None
    return detail


def act(company: Company, command: Callable[..., T], *args: Any, role: str = "accountant") -> T:
    environment = company.environment
    return command(environment.database, environment.clock, person(company, role), *args)


def accept(company: Company, detail: Detail, number: int = 0, role: str = "reviewer") -> int:
    item, match_id = detail.item, detail.candidates[number].match_id
    args = (link(company).id, item.source_id, match_id, detail.version)
    return act(company, commands.accept_match, *args, role=role)


def leg_rows(company: Company, source_id: str) -> list[Any]:
    with company.environment.database.read() as conn:
        return list(conn.execute(select(legs).where(legs.c.source_id == source_id).order_by(legs.c.id)))


def check_laws(company: Company) -> None:
    laws.check(company.environment, company.stripe, company.qbo)


@pytest.fixture
def two_equal_invoices(company: Company) -> Company:
    stripe_customer, customer = company.customer()
    for number in (1, 2):
        company.invoice(customer, 10_000, f"INV-{number}")
    company.pay(stripe_customer, 10_000, "our order")
    company.pass_time(minutes=1)
    company.sync()
    return company


@pytest.fixture
def typed_in(company: Company) -> Company:
    """Somebody recorded a payment of the same amount that says nothing of Stripe."""
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    company.qbo.create("Payment", {"CustomerRef": {"value": customer}, "TotalAmt": 100})
    company.sync()
    return company


def test_an_accepted_answer_is_posted_once(two_equal_invoices: Company) -> None:
    company = two_equal_invoices
    detail = waits(company)
    assert {each.field for each in detail.candidates[1].told} >= {"amount", "customer e-mail", "date"}
    assert len(detail.candidates) == 2
    for each in detail.candidates:
        assert each.probability_ppm is None or each.probability_ppm <= 500_000, "they share the chance"
    chosen = detail.candidates[1].parts[0][1]
    accept(company, detail, 1)
    assert search.page(company.environment.database, link(company).id).total == 0, "it left the list at once"
    company.sync()
    company.sync()
    (payment,) = company.ours("Payment")
    assert payment["Line"][0]["LinkedTxn"][0]["TxnId"] == chosen.partition(":")[2]
    check_laws(company)


def test_what_the_invoice_cannot_take_stays_as_credit(company: Company) -> None:
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 12_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    company.sync()
    detail = waits(company, "OVERPAID")
    assert review.rest_minor(detail, detail.candidates[0]) == 2_000
    accept(company, detail)
    company.sync()
    (payment,) = company.ours("Payment")
    assert (payment["TotalAmt"], payment["UnappliedAmt"]) == (120, 20)
    check_laws(company)


def test_recorded_already_is_matched_and_not_posted(typed_in: Company) -> None:
    company = typed_in
    detail = waits(company, "MAY_BE_RECORDED")
    accept(company, detail)
    company.sync()
    assert company.ours("Payment") == []
    gross = [row for row in leg_rows(company, detail.item.source_id) if row.kind == "gross"]
    assert [(row.state, row.document_ids) for row in gross] == [("matched", [detail.candidates[0].parts[0][1]])]
    check_laws(company)


def test_another_one_is_posted(typed_in: Company) -> None:
    company = typed_in
    detail = waits(company, "MAY_BE_RECORDED")
    args = (link(company).id, detail.item.source_id, detail.candidates[0].match_id, detail.version)
    act(company, commands.reject_match, *args, role="reviewer")
    company.sync()
    (payment,) = company.ours("Payment")
    assert payment["Line"][0]["LinkedTxn"][0]["TxnType"] == "Invoice"
    check_laws(company)


def test_ignored_with_name_and_reason(typed_in: Company) -> None:
    company = typed_in
    detail = waits(company)
    source_id = detail.item.source_id
    with pytest.raises(RefusedError, match="Say why"):
        act(company, commands.ignore, link(company).id, source_id, " ", detail.version)
    decision_id = act(company, commands.ignore, link(company).id, source_id, "a test of the card", detail.version)
    company.sync()
    for row in leg_rows(company, source_id):
        assert (row.state, row.detail) == ("ignored", "Set aside by accountant@example.com: a test of the card")
    check_laws(company)  # the proof itemises it
    assert act(company, commands.undo, decision_id)
    assert not act(company, commands.undo, decision_id)
    company.sync()
    assert waits(company, "MAY_BE_RECORDED").item.source_id == source_id
    check_laws(company)


def test_a_match_taken_back_waits_again(typed_in: Company) -> None:
    company = typed_in
    decision_id = accept(company, waits(company))
    company.sync()
    assert act(company, commands.undo, decision_id, role="reviewer")
    company.sync()
    waits(company, "MAY_BE_RECORDED")
    check_laws(company)


def test_undo_before_the_sync_and_after_posting(two_equal_invoices: Company) -> None:
    company = two_equal_invoices
    assert act(company, commands.undo, accept(company, waits(company)))
    company.sync()
    assert company.ours("Payment") == []
    decision_id = accept(company, waits(company))
    company.sync()
    with pytest.raises(RefusedError, match="in QuickBooks already"):
        act(company, commands.undo, decision_id)
    assert len(company.ours("Payment")) == 1
    check_laws(company)


@pytest.mark.parametrize("how", ["sales_receipt", "unapplied_payment"])
def test_recorded_without_an_invoice(company: Company, how: str) -> None:
    stripe_customer, customer = company.customer()
    company.pay(stripe_customer, 10_000, "at the fair")
    company.pass_time(minutes=1)
    company.sync()
    detail = waits(company, "no_invoice")
    args = (link(company).id, detail.item.source_id, how)
    with pytest.raises(RefusedError, match="no such active customer"):
        act(company, commands.record_without_invoice, *args, "999", detail.version)
    act(company, commands.record_without_invoice, *args, customer, detail.version)
    company.sync()
    (document,) = company.ours("SalesReceipt" if how == "sales_receipt" else "Payment")
    assert (document["TotalAmt"], document["CustomerRef"]["value"]) == (100, customer)
    check_laws(company)


def test_whoever_saw_something_older_is_told(two_equal_invoices: Company) -> None:
    company = two_equal_invoices
    detail = waits(company)
    accept(company, detail)
    with pytest.raises(RefusedError, match="changed since you looked"):
        accept(company, detail, 1)
    company.sync()
    assert len(company.ours("Payment")) == 1


def test_roles(two_equal_invoices: Company) -> None:
    company = two_equal_invoices
    detail = waits(company)
    at = (link(company).id, detail.item.source_id)
    with pytest.raises(NotAllowedError, match="role reviewer"):
        accept(company, detail, role="viewer")
    with pytest.raises(NotAllowedError, match="role accountant"):
        act(company, commands.ignore, *at, "why", detail.version, role="reviewer")
    with pytest.raises(NotAllowedError, match="role accountant"):
        act(company, commands.record_without_invoice, *at, "sales_receipt", "1", detail.version, role="reviewer")
    accept(company, detail)
    with company.environment.database.read() as conn:
        query = select(audit.c.actor, audit.c.action).where(audit.c.subject == detail.item.source_id)
        assert ("reviewer@example.com", "accepted") in [tuple(row) for row in conn.execute(query)]
