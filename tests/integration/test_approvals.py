"""Above the limit of a link it takes two: what one person asks for is done when another one says yes, once."""

import pytest
from sqlalchemy import select

from storage import approvals, decisions, users
from storage.decisions import Stored
from storage.models import approvals as table
from storage.models import audit
from storage.users import User
from sync import approving, commands, mapping
from sync.commands import NotAllowedError, RefusedError
from sync.holding import HeldError
from tests.integration.conftest import Company, link
from tests.integration.test_decisions import accept, act, check_laws, person, two_equal_invoices, waits
from tests.integration.test_rows import sync_and_check
from tests.integration.test_undo import ask, decide_again, look, on_sqlite, voided

__all__ = ["two_equal_invoices"]  # a fixture


def second(company: Company, role: str = "accountant") -> User:
    """Somebody else."""
    email = f"second-{role}@example.com"
    with company.environment.database.write() as conn:
        user_id = users.ensure_user(conn, email=email, name="second", role=role)
    return User(id=user_id, email=email, name="second", role=role)


def limit(company: Company, typed: str) -> None:
    environment = company.environment
    with pytest.raises(NotAllowedError, match="role manager"):
        mapping.change_approval_limit(environment, person(company), link(company).id, "USD", typed)
    assert mapping.change_approval_limit(environment, person(company, "manager"), link(company).id, "USD", typed)


def only(company: Company) -> approvals.Stored:
    (asked,) = approvals.waiting(company.environment.database, link(company).id)
    return asked


def approve(company: Company, actor: User, approval_id: int) -> bool:
    return approving.approve(company.environment.database, company.environment.clock, actor, approval_id)


def states(company: Company) -> list[tuple[str, str | None]]:
    with company.environment.database.read() as conn:
        return [(row.state, row.reason) for row in conn.execute(select(table).order_by(table.c.id))]


def audited(company: Company, subject: str) -> list[tuple[str, str]]:
    with company.environment.database.read() as conn:
        query = select(audit.c.actor, audit.c.action).where(audit.c.subject == subject).order_by(audit.c.id)
        return [(row.actor, row.action) for row in conn.execute(query)]


def test_a_second_person_carries_out_what_the_first_asked_for_exactly_once(two_equal_invoices: Company) -> None:
    company = two_equal_invoices
    limit(company, "99.99")
    company.sync()
    detail = waits(company)
    with pytest.raises(HeldError, match=r"100.00 USD is more than the 99.99 USD that one person may do alone"):
        accept(company, detail, 1, role="accountant")
    asked = only(company)
    assert (asked.ask.amount_minor, asked.asker) == (10_000, "accountant@example.com")
    assert asked.ask.text == "Match to Invoice INV-2"
    company.sync()
    assert company.ours("Payment") == [], "nothing is done before the second yes"
    with pytest.raises(RefusedError, match=r"accountant@example\.com asked for this already"):
        accept(company, waits(company), 0)
    with pytest.raises(NotAllowedError):
        approve(company, second(company, "reviewer"), asked.id)
    with pytest.raises(RefusedError, match="asked for this yourself"):
        approve(company, person(company), asked.id)

    assert approve(company, second(company), asked.id)
    assert not approve(company, second(company, "manager"), asked.id), "somebody was quicker"
    sync_and_check(company)
    sync_and_check(company)
    (payment,) = company.ours("Payment")
    assert payment["Line"][0]["LinkedTxn"][0]["TxnId"] == detail.candidates[1].parts[0][1].partition(":")[2]
    assert states(company) == [("approved", None)]
    assert audited(company, detail.item.source_id)[:3] == [
        ("accountant@example.com", "asked for approval"),
        ("accountant@example.com", "accepted"),
        ("second-accountant@example.com", "approved"),
    ]


@on_sqlite
def test_what_has_changed_meanwhile_is_not_done_and_the_second_person_is_told(two_equal_invoices: Company) -> None:
    company = two_equal_invoices
    limit(company, "50")
    company.sync()
    detail = waits(company)
    with pytest.raises(HeldError):
        accept(company, detail, 0)
    number = detail.candidates[0].parts[0][1].partition(":")[2]
    customer = company.books("Invoice")[0]["CustomerRef"]
    line = {"Amount": 100, "LinkedTxn": [{"TxnId": number, "TxnType": "Invoice"}]}
    company.qbo.create("Payment", {"CustomerRef": customer, "TotalAmt": 100, "Line": [line], "TxnDate": "2020-01-01"})
    company.sync()
    with pytest.raises(RefusedError, match=r"It was not done, and waits no longer\. This has changed"):
        approve(company, second(company), only(company).id)
    assert [state for state, _ in states(company)] == ["stale"]
    assert ("second-accountant@example.com", "could not approve") in audited(company, detail.item.source_id)
    company.sync()
    assert len(company.books("Payment")) == 1 + len(company.ours("Payment"))
    check_laws(company)


@on_sqlite
def test_declined_with_a_reason_it_can_be_asked_for_again(two_equal_invoices: Company) -> None:
    company = two_equal_invoices
    limit(company, "50")
    company.sync()
    environment, detail = company.environment, waits(company)
    for how in ("sales_receipt", "unapplied_payment"):
        customer = company.books("Invoice")[0]["CustomerRef"]["value"]
        args = (link(company).id, detail.item.source_id, how, customer, detail.version)
        with pytest.raises(HeldError):
            act(company, commands.record_without_invoice, *args)
        refused = (environment.database, environment.clock, second(company), only(company).id)
        with pytest.raises(RefusedError, match="Say why not"):
            approving.decline(*refused, " ")
        assert approving.decline(*refused, "It belongs to an invoice")
        assert not approving.decline(*refused, "again")
    assert states(company) == [("declined", "It belongs to an invoice")] * 2
    assert waits(company).version == detail.version
    with pytest.raises(HeldError):
        act(company, commands.ignore, link(company).id, detail.item.source_id, "a test", detail.version)
    assert approve(company, second(company), only(company).id)
    sync_and_check(company)
    assert company.ours("Payment") == company.ours("SalesReceipt") == []


@on_sqlite
def test_undoing_and_posting_again_take_two_as_well(company: Company) -> None:
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)
    company.sync()
    assert len(company.ours("Payment")) == 1, "what matching takes by itself asks nobody"
    limit(company, "50")
    company.sync()
    with pytest.raises(HeldError):
        ask(company, look(company))
    assert only(company).ask.text.startswith("Undo Payment")
    assert approve(company, second(company), only(company).id)
    sync_and_check(company)
    assert len(voided(company)) == 1
    (stored,) = [each for each in standing(company) if each.decision.kind == "undone"]
    with pytest.raises(HeldError):
        decide_again(company, stored.id)
    assert only(company).ask.text == "Post it again"
    assert approve(company, second(company), only(company).id)
    sync_and_check(company)
    assert [body["TotalAmt"] for body in company.ours("Payment") if body not in voided(company)] == [100]


def standing(company: Company) -> list[Stored]:
    with company.environment.database.read() as conn:
        return list(decisions.about(conn, link(company).id, "ch_"))
