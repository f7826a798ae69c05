"""What was posted into QuickBooks Desktop is taken back there once, and posted again only when somebody decides so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from emulators.qbd.connector import Stopped
from emulators.stripe import controls
from storage import mirror, undoing
from storage.engine import Database
from storage.findings import Finding, standing
from storage.models import legs as leg_table
from storage.models import outbox as outbox_table
from storage.undoing import Undo
from sync import commands
from sync.qbd.wire import KIND
from sync.undoing import undo_posted
from tests.integration.desktop import Desktop, open_desktop
from tests.integration.test_desktop_rows import check, refund

RECEIVABLE = "Accounts Receivable"


@pytest.fixture
def company(sqlite_database: Database, tmp_path: Path) -> Iterator[Desktop]:
    with open_desktop(sqlite_database, tmp_path) as opened:
        yield opened


def look(company: Desktop, kind: str, number: int = 0) -> tuple[str, Undo]:
    """What an undo of one of our documents would do."""
    (link,) = company._links()
    document_id = f"{KIND[kind]}:{alive(company, kind)[number]['TxnID']}"
    with company.environment.database.read() as conn:
        found = undoing.preview(conn, link, document_id)
    assert found is not None
    return document_id, found


def undo(company: Desktop, kind: str, number: int = 0) -> int:
    (link,), (document_id, seen) = company._links(), look(company, kind, number)
    assert seen.obstacles == ()
    environment = company.environment
    return undo_posted(
        environment.database, environment.clock, company.person(), link.id, document_id, seen.version, "It is wrong",
        is_reconciled=False,
    )  # fmt: skip


def post_again(company: Desktop, decision_id: int) -> None:
    environment = company.environment
    assert commands.undo(environment.database, environment.clock, company.person(), decision_id)


def alive(company: Desktop, kind: str) -> list[dict[str, Any]]:
    """Our documents that are not voided."""
    return [body for body in company.ours(kind) if not body["Memo"].startswith("VOID:")]


def counts(company: Desktop) -> dict[str, int]:
    kinds = ("ReceivePayment", "Check", "CreditMemo", "ARRefundCreditCard", "JournalEntry", "Transfer")
    return {kind: len(found) for kind in kinds if (found := alive(company, kind))}


def reasons(company: Desktop, category: str = "charge", kind: str = "gross") -> list[str]:
    with company.environment.database.read() as conn:
        query = select(leg_table.c.reason).where(leg_table.c.kind == kind, leg_table.c.category == category)
        return list(conn.execute(query.order_by(leg_table.c.id)).scalars())


def odd(company: Desktop) -> list[Finding]:
    (link,) = company._links()
    with company.environment.database.read() as conn:
        return [each for each in standing(conn, link.id) if each.code in ("gone", "changed", "copied", "back")]


def problems(company: Desktop) -> list[str]:
    """Why undos were called off."""
    with company.environment.database.read() as conn:
        rows = conn.execute(select(outbox_table.c.problem).where(outbox_table.c.undoes.is_not(None)))
        return [row.problem for row in rows if row.problem]


def paid(company: Desktop, number: str = "INV-1") -> tuple[dict[str, Any], dict[str, Any]]:
    """An invoice, and the payment intent that pays it, in the books."""
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, number)
    intent = company.pay(stripe_customer, 10_000, f"Invoice {number}")
    company.pass_time(minutes=1)
    company.settle(1)
    return invoice, intent


@pytest.mark.parametrize("tells", [pytest.param(True, marks=pytest.mark.soak), False], ids=["touched", "untouched"])
def test_a_payment_its_fee_and_a_refund_that_was_paid_out(company: Desktop, tells: bool) -> None:
    """Payments are deleted, everything else is voided; whether QuickBooks then says that the invoice changed or not."""
    company.file.switches.payments_touch_invoices = tells
    invoice, intent = paid(company)
    company.pass_time(hours=3)
    company.invoice(invoice["CustomerRef"], 5_000, "INV-9")  # so that the first one is read no more by its time
    refund(company, intent, 3_000)
    company.pass_time(minutes=1)
    company.settle(1)
    assert counts(company) == {"ReceivePayment": 1, "Check": 1, "CreditMemo": 1, "ARRefundCreditCard": 1}
    assert all("Undo that first" in each for each in look(company, "ReceivePayment")[1].obstacles)

    assert [step.how for step in look(company, "CreditMemo")[1].steps] == ["void", "void"]
    refunded = undo(company, "CreditMemo")
    check(company)
    assert counts(company) == {"ReceivePayment": 1, "Check": 1}
    assert (company.ours("CreditMemo")[0]["TotalAmount"], len(company.ours("ARRefundCreditCard"))) == ("0.00", 1)
    assert reasons(company, "refund") == ["undone"]

    given = lose_first(company, "TxnDelRs")
    charged, fee = undo(company, "ReceivePayment"), undo(company, "Check")
    check(company)
    assert [each.count('statusCode="0"') for each in given] == [1, 1], "done once, then told again what it was"
    assert counts(company) == {}
    assert company.ours("ReceivePayment") == []
    assert company.now("Invoice", invoice)["BalanceRemaining"] == "100.00"
    assert (reasons(company), reasons(company, kind="stripe_fee")) == (["undone"], ["undone"])
    assert (company.balance("Stripe Clearing"), company.balance(RECEIVABLE)) == (0, 15_000)
    assert odd(company) == []

    for decision in (charged, fee, refunded):
        post_again(company, decision)
    check(company)
    assert counts(company) == {"ReceivePayment": 1, "Check": 1, "CreditMemo": 1, "ARRefundCreditCard": 1}
    assert ":charge:r2:s1]" in company.ours("ReceivePayment")[0]["Memo"]
    assert company.now("Invoice", invoice)["BalanceRemaining"] == "0.00"
    assert odd(company) == []
    assert problems(company) == []

    company.file.delete("ReceivePayment", company.ours("ReceivePayment")[0]["TxnID"])  # a person does
    company.settle(1)
    with company.environment.database.read() as conn:
        seen = {each.doc_number: each.open_minor for each in mirror.load_all(conn, 2, ["invoice"])}
    assert seen == {"INV-1": 10_000, "INV-9": 5_000}


def test_an_entry_is_voided_and_a_payout_gets_the_opposite_transfer(company: Desktop) -> None:
    _, intent = paid(company)
    controls.use(company.stripe, "disputes", {"charge": intent["latest_charge"]})
    stripe_customer, customer = company.customer("Kestrel Optics")
    company.invoice(customer, 50_000, "INV-2")
    company.pay(stripe_customer, 50_000, "Invoice INV-2")
    check(company, days=8)
    before = counts(company)
    assert (before["JournalEntry"], before["Transfer"]) == (1, 1)
    clearing = company.balance("Stripe Clearing")
    (payout,) = company.ours("Transfer")
    (step,) = look(company, "Transfer")[1].steps
    assert (step.how, step.entry_kind) == ("entry", "transfer")

    older = company.file.backup()
    undo(company, "JournalEntry")
    held = undo(company, "Transfer")
    check(company)
    assert "JournalEntry" not in counts(company)
    first, opposite = sorted(company.ours("Transfer"), key=lambda body: int(body["TxnNumber"]))
    assert first["TxnID"] == payout["TxnID"]
    assert opposite["TransferFromAccountRef"] == payout["TransferToAccountRef"]
    assert opposite["TransferToAccountRef"] == payout["TransferFromAccountRef"]
    assert (opposite["Amount"], opposite["TxnDate"]) == (payout["Amount"], payout["TxnDate"])
    assert reasons(company, "payout") == ["undone"]
    post_again(company, held)
    check(company)
    assert counts(company)["Transfer"] == 3
    assert company.balance("Stripe Clearing") == clearing + 11_500, "the dispute is undone, the payout is posted again"
    assert odd(company) == []

    company.file.delete("Transfer", opposite["TxnID"])  # of which QuickBooks tells nothing, and it is not the newest
    company.settle(1)
    assert odd(company) == []
    company.environment.clock.sleep(86_400)
    company.settle(1)
    (gone,) = odd(company)
    assert (gone.code, gone.document_id) == ("gone", f"transfer:{opposite['TxnID']}")

    company.file.restore(older)
    company.settle(2)
    (entry,) = alive(company, "JournalEntry")
    assert [each.document_id for each in odd(company) if each.code == "back"] == [f"journal_entry:{entry['TxnID']}"]


def lose_first(company: Desktop, answer: str) -> list[str]:
    """QuickBooks does it, and the PC stops before its answer is delivered. Gives all such answers, as they come."""
    given: list[str] = []
    real = company.file.inspect

    def see(text: str) -> None:
        if real:
            real(text)
        if f"<{answer} " in text:
            given.append(text)
            if len(given) == 1:
                raise Stopped("the PC stopped", closes=False)

    company.file.inspect = see
    return given
