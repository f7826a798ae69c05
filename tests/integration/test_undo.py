"""What was posted is taken back in QuickBooks exactly once, and posted again only when somebody decides anew."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from reconcile.days import book_day
from reconcile.postings import ROLES
from storage import connections, findings, review, undoing, users
from storage.models import audit
from storage.models import legs as leg_table
from storage.models import outbox as outbox_table
from storage.proof import tie_out
from storage.records import to_json
from storage.undoing import Undo
from storage.users import User
from sync import commands, mending
from sync.adapters import connect
from sync.commands import NotAllowedError, RefusedError
from sync.ports import Request, Response
from sync.qbo.wire import KIND
from sync.undoing import undo_posted
from sync.worker import Adapters
from tests import laws
from tests.integration.conftest import Company, link
from tests.integration.test_rows import balance, linked, paid_charge, sync_and_check, use

WHY = "It belongs to another customer"
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # what both databases do alike


def person(company: Company, role: str = "accountant") -> User:
    with company.environment.database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role, role=role)
    return User(id=user_id, email=f"{role}@example.com", name=role, role=role)


def look(company: Company, entity: str = "Payment", **said: bool) -> tuple[str, Undo]:
    """What an undo of one of our documents would do."""
    document_id = f"{KIND[entity]}:{company.ours(entity)[0]['Id']}"
    with company.environment.database.read() as conn:
        found = undoing.preview(conn, link(company), document_id, **said)
    assert found is not None
    return document_id, found


def ask(company: Company, seen: tuple[str, Undo], role: str = "accountant", **said: bool) -> int:
    environment = company.environment
    answers = {"is_reconciled": said.get("is_reconciled", False), "with_fee": said.get("with_fee", False)}
    return undo_posted(
        environment.database, environment.clock, person(company, role), link(company).id, seen[0], seen[1].version, WHY,
        **answers,
    )  # fmt: skip


def undo(company: Company, entity: str = "Payment", **said: bool) -> int:
    return ask(company, look(company, entity, **said), **said)


def decide_again(company: Company, decision_id: int) -> bool:
    environment = company.environment
    return commands.undo(environment.database, environment.clock, person(company), decision_id)


def posted(company: Company) -> str:
    """A charge that is in the books, and verified."""
    charge = paid_charge(company)
    company.pass_time(minutes=1)
    company.sync()
    return charge


def states(company: Company) -> dict[str, str]:
    with company.environment.database.read() as conn:
        return {row.marker: row.state for row in conn.execute(select(outbox_table))}


def reasons(company: Company, kind: str = "gross") -> list[str]:
    with company.environment.database.read() as conn:
        query = select(leg_table.c.reason).where(leg_table.c.kind == kind, leg_table.c.category == "charge")
        return list(conn.execute(query.order_by(leg_table.c.id)).scalars())


def odd(company: Company) -> list[str]:
    with company.environment.database.read() as conn:
        return [each.code for each in findings.standing(conn, link(company).id)]


def close_books(company: Company, day: str) -> None:
    body = company.books("Preferences")[0]
    head = {"Id": body["Id"], "SyncToken": body["SyncToken"], "sparse": True}
    company.qbo.update("Preferences", head | {"AccountingInfoPrefs": {"BookCloseDate": day}})


def voided(company: Company) -> list[dict[str, Any]]:
    return [body for body in company.books("Payment") if body["PrivateNote"].startswith("Voided")]


def tampered(company: Company, tamper: Any) -> None:
    """A sync in which somebody stands on the line to QuickBooks."""
    worker = company.worker()

    def joined(its_link: connections.Link) -> Adapters | None:
        real = connect(company.environment, its_link)
        assert real is not None
        carry = real.carry
        assert carry is not None
        return replace(real, carry=lambda request: tamper(request, carry))

    worker.connect = joined
    worker.enqueue_now("test")
    while worker.work():
        pass


def test_a_paid_invoice_is_undone_and_posted_anew(company: Company) -> None:
    charge = posted(company)
    seen = look(company)
    assert [step.how for step in seen[1].steps] == ["void"]
    assert seen[1].effects[0] == "100.00 USD of Invoice INV-1 is open again."
    assert "Its fee of 3.20 USD stays in the books." in seen[1].effects
    assert seen[1].obstacles == ()
    with pytest.raises(NotAllowedError, match="role accountant"):
        ask(company, seen, role="reviewer")
    decision_id = ask(company, seen)
    assert reasons(company) == ["undoing"]
    laws.check(company.environment, company.stripe, company.qbo)
    with pytest.raises(RefusedError, match="being undone already"):
        ask(company, seen)  # two people at once: the second is told

    sync_and_check(company)
    assert len(voided(company)) == 1
    assert company.books("Invoice")[0]["Balance"] == 100
    assert len(company.ours("Purchase")) == 1
    assert reasons(company) == ["undone"]
    assert odd(company) == []
    detail = review.detail(company.environment.database, link(company).id, charge)
    assert detail is not None
    assert WHY in detail.item.detail
    company.sync()
    assert company.ours("Payment") == [], "it waits until somebody decides"

    assert decide_again(company, decision_id)
    sync_and_check(company)
    (again,) = company.ours("Payment")
    assert ":charge:r2:s1]" in again["PrivateNote"]
    assert linked(again) == {"Invoice": 100}
    assert len(company.ours("Purchase")) == 1
    assert odd(company) == []
    with company.environment.database.read() as conn:
        entries = {row.action: row.detail for row in conn.execute(select(audit).where(audit.c.subject == charge))}
    assert entries["asked to undo"]["reconciled"] is False
    assert entries["asked to undo"]["reason"] == WHY

    second = undo(company)  # and once more: the third revision
    sync_and_check(company)
    assert decide_again(company, second)
    sync_and_check(company)
    assert ":charge:r3:s1]" in company.ours("Payment")[0]["PrivateNote"]


@on_sqlite
def test_the_next_decision_takes_it_elsewhere_with_its_fee(company: Company) -> None:
    charge = posted(company)
    undo(company, with_fee=True)
    sync_and_check(company)
    assert company.ours("Payment") == []
    assert company.ours("Purchase") == []
    assert (reasons(company), reasons(company, "stripe_fee")) == (["undone"], ["undone"])
    _, other = company.customer("Red Foods", "red@foods.example")
    company.invoice(other, 10_000, "INV-2")
    company.sync()
    database, where = company.environment.database, link(company).id
    detail = review.detail(database, where, charge)
    assert detail is not None
    commands.record_without_invoice(
        database, company.environment.clock, person(company), where, charge, "unapplied_payment", other, detail.version
    )
    sync_and_check(company)
    (payment,) = company.ours("Payment")
    assert payment["CustomerRef"]["value"] == other
    assert ":fee:r2:s1]" in company.ours("Purchase")[0]["PrivateNote"]
    assert reasons(company, "stripe_fee") == ["posted"]


@on_sqlite
def test_a_refund_that_hangs_on_it_comes_first(company: Company) -> None:
    charge = paid_charge(company)
    company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 3_000})
    sync_and_check(company)
    seen = look(company)
    (obstacle,) = seen[1].obstacles
    assert obstacle.startswith("Refund receipt")
    assert "Undo that first" in obstacle
    with pytest.raises(RefusedError, match="Undo that first"):
        ask(company, seen)

    undo(company, "RefundReceipt")
    sync_and_check(company)
    assert company.ours("RefundReceipt") == []
    held = undo(company)
    sync_and_check(company)
    assert (company.ours("Payment"), len(voided(company))) == ([], 1)
    refund = next(iter(laws.waiting_legs(company.environment)))
    assert refund["reason"] in ("undone", "waits_with_charge")
    assert decide_again(company, held)
    sync_and_check(company)
    assert len(company.ours("Payment")) == 1
    assert company.ours("RefundReceipt") == [], "its own undo still holds it"


def test_a_refund_that_comes_meanwhile_waits_for_the_charge(company: Company) -> None:
    """It is planned for the payment, then somebody asks for the undo, then the sync goes on to post."""
    charge = posted(company)
    seen = look(company)
    asked: list[int] = []
    company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 3_000})
    company.pass_time(minutes=1)

    worker = company.worker()
    real_decide = worker._decide

    def decide_then_ask(*args: Any) -> None:
        real_decide(*args)
        if not asked:
            assert "planned" in {state for marker, state in states(company).items() if ":refund:" in marker}
            asked.append(ask(company, seen))

    worker._decide = decide_then_ask  # type: ignore[method-assign]
    worker.enqueue_now("test")
    while worker.work():
        pass
    assert worker.problem is None
    sync_and_check(company)
    assert asked
    assert len(voided(company)) == 1
    assert company.ours("RefundReceipt") == []
    assert decide_again(company, asked[0])
    sync_and_check(company)
    assert len(company.ours("Payment")) == 1
    assert [body["TotalAmt"] for body in company.ours("RefundReceipt")] == [30]


@on_sqlite
def test_in_a_closed_period_an_opposite_entry_takes_it_back(company: Company) -> None:
    posted(company)
    (payment,) = company.ours("Payment")
    close_books(company, payment["TxnDate"])
    company.pass_time(days=3)
    company.sync()
    seen = look(company)
    (step,) = seen[1].steps
    assert step.how == "entry"
    assert step.entry_on is not None
    assert step.entry_on.isoformat() > payment["TxnDate"]
    decision_id = ask(company, seen)
    sync_and_check(company)
    (entry,) = company.ours("JournalEntry")
    assert entry["TxnDate"] == step.entry_on.isoformat()
    assert ":charge-undo:r1:s1]" in entry["PrivateNote"]
    assert company.ours("Payment")[0]["TotalAmt"] == 100
    assert reasons(company) == ["undone"]
    assert odd(company) == []
    with company.environment.database.read() as conn:
        proof = tie_out(conn, link(company), book_day(company.environment.clock.now(), link(company).time_zone))
    before, after = proof.items_on("USD", step.document.dated), proof.items_on("USD", step.entry_on)
    assert before["reason"].to_list() == [], "what was tied in the closed period stays tied"
    assert "waiting" in after["reason"].to_list()

    policies = replace(link(company).policies, closed_period="first_open_day", charge_without_invoice="sales_receipt")
    with company.environment.database.write() as conn:
        connections.change_link(conn, link(company).id, policies=to_json(policies))
    assert decide_again(company, decision_id)
    sync_and_check(company)
    assert reasons(company) in (["posted"], ["no_invoice"], ["MAY_BE_RECORDED"], ["unknown_customer"])


@on_sqlite
def test_what_was_reconciled_is_not_touched(company: Company) -> None:
    posted(company)
    undo(company, "Purchase", is_reconciled=True)
    sync_and_check(company)
    assert len(company.ours("Purchase")) == 1
    (entry,) = company.ours("JournalEntry")
    assert entry["TxnDate"] == company.ours("Purchase")[0]["TxnDate"]
    assert balance(company, "Stripe fees") == 0
    assert reasons(company, "stripe_fee") == ["undone"]
    assert reasons(company) == ["posted"]


@on_sqlite
@pytest.mark.parametrize(("entity", "arrived"), [("Payment", True), ("Purchase", True), ("Purchase", False)])
def test_a_lost_answer(company: Company, entity: str, arrived: bool) -> None:
    posted(company)
    undo(company, entity)
    sent: list[str] = []

    def lose(request: Request, carry: Any) -> Response:
        if request.kind == "write":
            sent.append(request.query["operation"])
            if len(sent) == 1:
                if arrived:
                    carry(request)
                return Response(status=0, body="", lost="lost: on purpose")
        answer: Response = carry(request)
        return answer

    tampered(company, lose)
    sync_and_check(company)
    assert len(sent) == (1 if arrived else 2), "what arrived is not sent again"
    assert company.ours(entity) == []
    assert reasons(company, "gross" if entity == "Payment" else "stripe_fee") == ["undone"]


@on_sqlite
@pytest.mark.parametrize("change", ["amount", "void"])
def test_what_a_person_did_meanwhile_is_not_undone(company: Company, change: str) -> None:
    posted(company)
    undo(company)
    (payment,) = company.ours("Payment")
    head = {"Id": payment["Id"], "SyncToken": payment["SyncToken"]}
    if change == "amount":
        company.qbo.update("Payment", head | {"sparse": True, "TotalAmt": 120})
    else:
        company.qbo.void("Payment", head)
    sync_and_check(company)
    assert reasons(company) == ["posted"]
    assert odd(company) == ["changed" if change == "amount" else "gone"]
    with company.environment.database.read() as conn:
        (row,) = conn.execute(select(outbox_table).where(outbox_table.c.undoes.is_not(None)))
    assert row.state == "withdrawn"
    assert "in QuickBooks meanwhile" in row.problem
    if change == "amount":  # seen as it is now, it can be undone
        undo(company)
        sync_and_check(company)
        assert (company.ours("Payment"), reasons(company)) == ([], ["undone"])


@on_sqlite
def test_a_change_right_before_it_is_sent(company: Company) -> None:
    """QuickBooks' SyncToken tells; it is read again, and then it is another document."""
    posted(company)
    undo(company)
    (payment,) = company.ours("Payment")
    changed: list[int] = []

    def quicker(request: Request, carry: Any) -> Response:
        if request.kind == "write" and not changed:
            head = {"Id": payment["Id"], "SyncToken": payment["SyncToken"], "sparse": True}
            changed.append(company.qbo.update("Payment", head | {"TotalAmt": 120})["TotalAmt"])
        answer: Response = carry(request)
        return answer

    tampered(company, quicker)
    sync_and_check(company)
    assert changed == [120]
    assert (company.ours("Payment")[0]["TotalAmt"], reasons(company)) == (120, ["posted"])


@on_sqlite
def test_killed_between_freezing_and_the_answer(company: Company) -> None:
    posted(company)
    undo(company)

    def die(request: Request, carry: Any) -> Response:
        if request.kind == "write":
            carry(request)
            raise KeyboardInterrupt
        answer: Response = carry(request)
        return answer

    with pytest.raises(KeyboardInterrupt):
        tampered(company, die)
    assert "sending" in states(company).values()
    company.environment.clock.sleep(3_600)
    sync_and_check(company)
    assert len(voided(company)) == 1
    assert reasons(company) == ["undone"]


@on_sqlite
def test_what_quickbooks_refuses_stays_posted_and_says_why(company: Company) -> None:
    """A closed period that Tieout has not read yet: QuickBooks refuses, nothing is undone, and it says why."""
    posted(company)
    undo(company)
    (payment,) = company.ours("Payment")

    def close_first(request: Request, carry: Any) -> Response:
        if request.kind == "write":
            close_books(company, payment["TxnDate"])
        answer: Response = carry(request)
        return answer

    tampered(company, close_first)
    sync_and_check(company)
    assert reasons(company) == ["posted"]
    with company.environment.database.read() as conn:
        (row,) = conn.execute(select(outbox_table).where(outbox_table.c.undoes.is_not(None)))
    assert (row.state, "books are closed" in row.problem) == ("withdrawn", True)
    assert [step.how for step in look(company)[1].steps] == ["entry"]


@on_sqlite
def test_already_gone(company: Company) -> None:
    """QuickBooks answers 610 to the delete: somebody was quicker, and it is what was asked for."""
    posted(company)
    undo(company, "Purchase")
    (fee,) = company.ours("Purchase")

    def delete_first(request: Request, carry: Any) -> Response:
        if request.kind == "write" and company.ours("Purchase"):
            company.qbo.delete("Purchase", {"Id": fee["Id"], "SyncToken": fee["SyncToken"]})
        answer: Response = carry(request)
        return answer

    tampered(company, delete_first)
    sync_and_check(company)
    assert reasons(company, "stripe_fee") == ["undone"]
    assert odd(company) == []


@on_sqlite
def test_an_undo_is_called_off_before_it_is_sent(company: Company) -> None:
    posted(company)
    decision_id = undo(company)
    assert decide_again(company, decision_id)
    sync_and_check(company)
    assert (len(company.ours("Payment")), voided(company)) == (1, [])
    assert reasons(company) == ["posted"]
    assert not decide_again(company, decision_id)


@on_sqlite
def test_what_is_being_undone_is_not_mended(company: Company) -> None:
    posted(company)
    (fee,) = company.ours("Purchase")
    head = {"Id": fee["Id"], "SyncToken": fee["SyncToken"], "sparse": True}
    company.qbo.update("Purchase", head | {"TxnDate": "2026-01-02"})
    sync_and_check(company)
    with company.environment.database.read() as conn:
        (finding,) = findings.standing(conn, link(company).id)
    undo(company, "Purchase")
    environment = company.environment
    args = (link(company).id, finding.id, finding.version, finding.offers[0])
    with pytest.raises(RefusedError, match="being undone"):
        mending.mend(environment.database, environment.clock, person(company), *args)
    sync_and_check(company)
    assert (company.ours("Purchase"), odd(company)) == ([], [])


@on_sqlite
def test_an_invoice_made_of_stripes_goes_with_its_payment(company: Company) -> None:
    policies = replace(link(company).policies, stripe_invoice="create")
    with company.environment.database.write() as conn:
        connections.change_link(conn, link(company).id, policies=to_json(policies))
    customer, _ = company.customer()
    invoice = company.stripe.request("POST", "/v1/invoices", {"customer": customer, "auto_advance": False})
    item = {"customer": customer, "invoice": invoice["id"], "amount": 4_000, "currency": "usd", "description": "Plan"}
    company.stripe.request("POST", "/v1/invoiceitems", item)
    company.stripe.request("POST", f"/v1/invoices/{invoice['id']}/finalize", {})
    company.stripe.request("POST", f"/v1/invoices/{invoice['id']}/pay", {"payment_method": "pm_card_visa"})
    company.pass_time(minutes=1)
    sync_and_check(company)
    assert len(company.ours("Payment")) == 1, laws.waiting_legs(company.environment)
    seen = look(company)
    assert [step.document.kind for step in seen[1].steps] == ["payment", "invoice"]
    decision_id = ask(company, seen)
    sync_and_check(company)
    assert (company.ours("Payment"), company.ours("Invoice")) == ([], [])
    assert decide_again(company, decision_id)
    sync_and_check(company)
    assert ":invoice:r2:s1]" in company.ours("Invoice")[0]["PrivateNote"]
    assert company.ours("Invoice")[0]["Balance"] == 0


@on_sqlite
def test_the_entry_of_a_dispute_and_a_payout(company: Company) -> None:
    """Both are undone at once; each comes back only by a decision of its own, and the dispute's end waits for it."""
    dispute = use(company, "disputes", charge=paid_charge(company))
    there, here = company.customer("Kestrel Optics", "ap@kestrel.example")
    company.invoice(here, 50_000, "INV-2")
    company.pay(there, 50_000, "Invoice INV-2")  # so that there is something left to pay out
    sync_and_check(company, days=8)
    paid_out = [body["Amount"] for body in company.ours("Transfer")]
    held = undo(company, "Transfer")
    disputed = undo(company, "JournalEntry")
    sync_and_check(company)
    assert (company.ours("JournalEntry"), company.ours("Transfer")) == ([], [])
    use(company, "dispute_losses", dispute=dispute["id"])
    assert decide_again(company, held)
    sync_and_check(company)
    assert company.ours("JournalEntry") == [], "the end of the dispute waits with it"
    assert [body["Amount"] for body in company.ours("Transfer")] == paid_out
    assert decide_again(company, disputed)
    sync_and_check(company)
    assert len(company.ours("JournalEntry")) == 2, "what was taken, and that it is lost"
    assert balance(company, ROLES["disputes_receivable"]) == 0
    assert balance(company, ROLES["dispute_losses"]) == 10_000
