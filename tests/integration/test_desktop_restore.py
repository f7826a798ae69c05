"""What somebody changed of our documents in QuickBooks Desktop is given back its content once, if a person says so."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from emulators.stripe import controls
from reconcile.postings import Policies
from storage.engine import Database
from storage.findings import Finding, standing
from storage.models import outbox as outbox_table
from sync.mending import mend
from sync.qbd.wire import KIND
from tests.integration.desktop import Desktop, open_desktop
from tests.integration.test_desktop_rows import bill, check, choose, refund
from tests.integration.test_desktop_undo import lose_first, odd, paid, problems

ALL = ("ReceivePayment", "Check", "CreditMemo", "ARRefundCreditCard", "JournalEntry", "Transfer", "SalesReceipt",
       "Invoice", "Deposit")  # fmt: skip


@pytest.fixture
def company(sqlite_database: Database, tmp_path: Path) -> Iterator[Desktop]:
    with open_desktop(sqlite_database, tmp_path) as opened:
        yield opened


def act(company: Desktop, finding: Finding, action: str) -> None:
    (link,), environment = company._links(), company.environment
    (offer,) = [each for each in finding.offers if each.action == action]
    arguments = (company.person(), link.id, finding.id, finding.version, offer)
    assert mend(environment.database, environment.clock, *arguments)


def books(company: Desktop) -> dict[str, Any]:
    """All that our documents say, without what changes with every writing; and the accounts."""
    own = ("EditSequence", "TimeModified", "FromAccountBalance", "ToAccountBalance")
    shown: dict[str, Any] = {}
    for kind in ALL:
        for body in company.file.all(kind):
            shown[body["TxnID"]] = {name: value for name, value in without_ids(body).items() if name not in own}
    return shown | {"accounts": company.file.trial_balance()}


def without_ids(value: Any) -> Any:
    """A line that was taken away and made again has another id."""
    if isinstance(value, list):
        return [without_ids(each) for each in value]
    if isinstance(value, dict):
        return {name: without_ids(each) for name, each in value.items() if name != "TxnLineID"}
    return value


def one_of_each(company: Desktop) -> dict[str, dict[str, Any]]:
    """A document of ours of every kind."""
    choose(company, Policies(charge_without_invoice="sales_receipt", stripe_invoice="create"))
    _, intent = paid(company)
    refund(company, intent, 3_000)
    controls.use(company.stripe, "disputes", {"charge": intent["latest_charge"]})
    stripe_customer, _ = company.customer("Kestrel Optics")
    company.pay(stripe_customer, 50_000, "A course")
    bill(company, stripe_customer, 20_000, tax=0)
    stripe_customer, customer = company.customer("Marlow Press")
    charge = company.pay(stripe_customer, 7_000, "Deposit")["latest_charge"]
    head = {"CustomerRef": {"ListID": customer["ListID"]}, "TotalAmount": "70.00", "IsAutoApply": "false"}
    company.file.add("ReceivePayment", head | {"Memo": charge})  # by hand, into Undeposited Funds
    check(company, days=8)
    act(company, asked(company, "not_deposited")[0], "deposit")
    check(company)
    return {kind: company.ours(kind)[0] for kind in ALL}


def asked(company: Desktop, code: str) -> list[Finding]:
    (link,) = company._links()
    with company.environment.database.read() as conn:
        return [each for each in standing(conn, link.id) if each.code == code]


def line(number: int, body: dict[str, Any], **changes: str) -> dict[str, Any]:
    lines = [each for name in body if "Line" in name for each in body[name]]
    return {"TxnLineID": lines[number]["TxnLineID"]} | changes


def named(name: str) -> dict[str, str]:
    return {"FullName": name}


def spoil(company: Desktop, made: dict[str, dict[str, Any]]) -> None:
    """A person changes each: amounts, dates, accounts, lines, memos, what it is set against."""
    payment, check_, journal = made["ReceivePayment"], made["Check"], made["JournalEntry"]
    debit, other = (each["TxnLineID"] for each in journal["JournalDebitLine"])
    credit = journal["JournalCreditLine"][0]["TxnLineID"]
    less = {"TxnID": payment["AppliedToTxnRet"][0]["TxnID"], "PaymentAmount": "80.00"}
    new: dict[str, Any] = {"TxnLineID": "-1", "AccountRef": named("Stripe Fees"), "Amount": "5.00"}
    more = {"TxnLineID": "-1", "ItemRef": named("Services"), "Amount": "11.00"}
    changes: dict[str, dict[str, Any]] = {
        "ReceivePayment": {"TotalAmount": "80.00", "AppliedToTxnMod": [less], "DepositToAccountRef": named("Checking")},
        "Check": {"Memo": "mine", "ExpenseLineMod": [line(0, check_, Amount="1.00"), new]},
        "CreditMemo": {"TxnDate": "2026-11-01", "CreditMemoLineMod": [line(0, made["CreditMemo"]), more]},
        "ARRefundCreditCard": {"Memo": "mine"},
        "JournalEntry": {"JournalLineMod": [
            {"TxnLineID": debit, "Amount": "1.00"}, {"TxnLineID": credit, "Amount": "1.00"}]},
        "Transfer": {"TransferToAccountRef": named("Undeposited Funds"), "Amount": "4.00"},
        "SalesReceipt": {"SalesReceiptLineMod": [more | {"Amount": "1.00"}], "Memo": None},
        "Invoice": {"InvoiceLineMod": [line(0, made["Invoice"], Amount="300.00"), more]},
        "Deposit": {"TxnDate": "2026-11-02", "DepositLineMod": [line(0, made["Deposit"]), new]},
    }  # fmt: skip
    assert other != debit
    for kind, change in changes.items():
        company.file.edit(kind, made[kind]["TxnID"], **change)


def test_each_kind_that_somebody_changed_says_again_what_was_posted(company: Desktop) -> None:
    made = one_of_each(company)
    before = books(company)
    spoil(company, made)
    company.settle(1)
    assert books(company)["accounts"] != before["accounts"]
    changed = {each.document_id.partition(":")[0]: each for each in odd(company)}
    assert set(changed) == {KIND[kind] for kind in ALL}
    fixed = changed.pop("ar_refund")
    assert [each.action for each in fixed.offers] == ["accept"]
    assert "nobody but its users change a refund. Put it back there by hand" in fixed.text
    for each in changed.values():
        act(company, each, "restore")
    company.file.edit(
        "ARRefundCreditCard", made["ARRefundCreditCard"]["TxnID"], Memo=made["ARRefundCreditCard"]["Memo"]
    )
    check(company, visits=1)
    after = books(company)
    assert {key: body for key, body in after.items() if body != before[key]} == {}
    assert after.keys() == before.keys()
    assert odd(company) == []

    company.file.edit("JournalEntry", made["JournalEntry"]["TxnID"], Memo="mine")
    company.settle(1)
    (memo,) = odd(company)
    assert ([each.action for each in memo.offers], "memo of a journal entry" in memo.text) == (["accept"], True)


def change_fee(company: Desktop, amount: str, **more: Any) -> None:
    (fee,) = company.file.all("Check")
    company.file.edit("Check", fee["TxnID"], ExpenseLineMod=[line(0, fee, Amount=amount)], **more)


def interrupt(company: Desktop, act: Callable[[], Any], write: str = "CheckMod") -> list[int]:
    """A person does something between our look and our write. Gives the status of each write as it is answered."""
    statuses: list[int] = []
    real = company.file.inspect

    def see(text: str) -> None:
        if real:
            real(text)
        if f"<{write}Rq" in text and not statuses:
            act()
        if found := re.search(rf'<{write}Rs [^>]*statusCode="(\d+)"', text):
            statuses.append(int(found[1]))

    company.file.inspect = see
    return statuses


def test_a_restore_that_somebody_was_quicker_than_is_decided_anew(company: Desktop) -> None:
    paid(company)
    (fee,) = company.ours("Check")
    before = books(company)
    change_fee(company, "1.00")
    company.settle(1)
    act(company, asked(company, "changed")[0], "restore")
    statuses = interrupt(company, lambda: company.file.edit("Check", fee["TxnID"], RefNumber="7"))
    company.settle(1)
    assert statuses == [3200, 0], "what the person saw still holds: written with the new EditSequence, once"
    assert (books(company), odd(company)) == (before, [])

    change_fee(company, "2.00")
    company.settle(1)
    act(company, asked(company, "changed")[0], "restore")
    statuses = interrupt(company, lambda: change_fee(company, "3.00"))
    company.settle(2)
    assert statuses == [3200]
    assert company.ours("Check")[0]["Amount"] == "3.00", "nobody has said that this is to be written over"
    (again,) = odd(company)
    assert "3.00 USD instead of 3.20 USD" in again.text
    act(company, again, "restore")
    check(company)
    assert (books(company), odd(company)) == (before, [])


def test_a_restore_whose_answer_is_lost_is_done_once(company: Desktop) -> None:
    paid(company)
    before = books(company)
    change_fee(company, "1.00")
    company.settle(1)
    act(company, asked(company, "changed")[0], "restore")
    given = lose_first(company, "CheckModRs")
    check(company)
    assert len(given) == 2, "done once, then told again what it was"
    (fee,) = company.ours("Check")
    assert (books(company), odd(company)) == (before, [])
    sequence = fee["EditSequence"]

    change_fee(company, "2.00")
    company.settle(1)
    act(company, asked(company, "changed")[0], "restore")
    company.file.void("Check", fee["TxnID"])
    check(company)
    (gone,) = odd(company)
    assert (gone.code, sequence != company.file.all("Check")[0]["EditSequence"]) == ("gone", True)
    assert problems(company) == []


@pytest.mark.parametrize("known", [True, False])
def test_a_payment_whose_invoice_is_gone_waits_with_its_reason(company: Desktop, known: bool) -> None:
    """Whether it was gone before somebody asked to post the payment again, or since then."""
    invoice, _ = paid(company)
    company.file.delete("ReceivePayment", company.ours("ReceivePayment")[0]["TxnID"])
    if known:
        company.file.delete("Invoice", invoice["TxnID"])
    company.settle(1)
    sent = interrupt(company, lambda: None, "ReceivePaymentAdd")
    act(company, asked(company, "gone")[0], "post_again")
    if not known:
        company.file.delete("Invoice", invoice["TxnID"])
    company.settle(1)
    assert sent == []
    with company.environment.database.read() as conn:
        waits = select(outbox_table.c.problem).where(outbox_table.c.state == "waiting")
        (problem,) = conn.execute(waits).scalars()
    assert problem.startswith("Invoice INV-1, which this payment is for, is not in QuickBooks any more.")
