"""The books of the Desktop stand-in: every transaction balances, and what is open, applied and left is right."""

import pytest

from emulators.clock import Clock
from emulators.qbd import CompanyFile, Refused
from emulators.qbd.shapes import QUERIES
from tests.contract.qbd_file import NOON, ask_one, customer, new_file, on, pay, ref, sale, status, texts


def balances(file: CompanyFile) -> dict[str, int]:
    found = file.trial_balance()
    assert sum(found.values()) == 0
    return {name: amount for name, amount in found.items() if amount}


def left(file: CompanyFile, kind: str, body: dict[str, str], field: str) -> str:
    found = file.get(kind, body["TxnID"])
    assert found is not None
    return str(found[field])


def busy_company() -> CompanyFile:
    """One transaction of every kind."""
    file = new_file()
    ann, vendor = customer(file), file.add("Vendor", {"Name": "Stripe"})
    invoice = sale(file, "Invoice", ann, "100.00")
    pay(file, ann, "120.00", on(invoice, "100.00"))
    memo = sale(file, "CreditMemo", ann, "30.00")
    refund = {"CustomerRef": ref(ann), "RefundFromAccountRef": {"FullName": "Stripe Clearing"}}
    file.add(
        "ARRefundCreditCard", refund | {"RefundAppliedToTxnAdd": [{"TxnID": memo["TxnID"], "RefundAmount": "30.00"}]}
    )
    line = {"AccountRef": {"FullName": "Stripe Fees"}, "Amount": "3.20"}
    head = {"AccountRef": {"FullName": "Stripe Clearing"}, "PayeeEntityRef": ref(vendor)}
    file.add("Check", head | {"ExpenseLineAdd": [line]})
    sale(file, "SalesReceipt", ann, "10.00", DepositToAccountRef={"FullName": "Stripe Clearing"})
    by_hand = pay(file, ann, "50.00", into="Undeposited Funds", IsAutoApply="false")
    fee = {"AccountRef": {"FullName": "Stripe Fees"}, "Amount": "-1.00"}
    lines = [{"PaymentTxnID": by_hand["TxnID"]}, fee]
    file.add("Deposit", {"DepositToAccountRef": {"FullName": "Checking"}, "DepositLineAdd": lines})
    sides = {
        "TransferFromAccountRef": {"FullName": "Stripe Clearing"},
        "TransferToAccountRef": {"FullName": "Checking"},
    }
    file.add("Transfer", sides | {"Amount": "40.00"})
    debit, credit = ({"AccountRef": {"FullName": name}, "Amount": "5.00"} for name in ("Sales", "Stripe Clearing"))
    file.add("JournalEntry", {"JournalDebitLine": [debit], "JournalCreditLine": [credit]})
    return file


def test_every_kind_of_transaction_and_the_trial_balance() -> None:
    file = busy_company()
    assert balances(file) == {
        "Stripe Clearing": 12_000 - 3_000 - 320 + 1_000 - 4_000 - 500, "Stripe Fees": 420, "Checking": 8_900,
        "Accounts Receivable": 10_000 - 12_000 - 5_000, "Services": -10_000 + 3_000 - 1_000, "Sales": 500,
    }  # fmt: skip
    (ann,), (memo,) = file.all("Customer"), file.all("CreditMemo")
    assert (ann["Balance"], memo["CreditRemaining"]) == ("-70.00", "0.00")


@pytest.mark.parametrize("query", sorted(name for name in QUERIES if "Deleted" not in name))
def test_every_query_answers_in_the_form_of_the_xsd(query: str) -> None:
    """The company file of these tests holds every message to it."""
    file = busy_company()
    owner = "{57F3B9B1-86F1-4FCC-B1EE-566DE1813D20}"
    define = f"<OwnerID>{owner}</OwnerID><DataExtName>FileID</DataExtName><DataExtType>STR255TYPE</DataExtType>"
    define += "<AssignToObject>Company</AssignToObject>"
    ask_one(file, f"<DataExtDefAddRq><DataExtDefAdd>{define}</DataExtDefAdd></DataExtDefAddRq>")
    file.add("ItemSalesTax", {"Name": "NY", "TaxRate": "8.875"})
    file.add("Class", {"Name": "East"})
    flags = [name for name in ("IncludeLineItems", "IncludeLinkedTxns") if name in QUERIES[query]]
    wanted = "".join(f"<{flag}>true</{flag}>" for flag in flags)
    answer = ask_one(file, f"<{query}Rq>{wanted}</{query}Rq>")
    assert status(answer)[0] == 0
    assert len(answer) >= 1


def test_a_foreign_payment_leaves_the_difference_of_the_rates_in_gain_or_loss() -> None:
    file = new_file()
    euros = customer(file, "Moreau", "Euro")
    invoice = sale(file, "Invoice", euros, "100.00", ExchangeRate="1.10")
    pay(file, euros, "100.00", on(invoice, "100.00"), ExchangeRate="1.08")
    assert balances(file) == {"Services": -11_000, "Stripe Clearing": 10_800, "Exchange Gain or Loss": 200}


def test_what_was_paid_opens_again_when_the_payment_goes() -> None:
    file = new_file()
    ann = customer(file)
    invoice = sale(file, "Invoice", ann, "100.00")
    payment = pay(file, ann, "60.00", on(invoice, "60.00"))
    assert left(file, "Invoice", invoice, "BalanceRemaining") == "40.00"
    file.edit("ReceivePayment", payment["TxnID"], TotalAmount="70.00", AppliedToTxnMod=[on(invoice, "70.00")])
    assert left(file, "Invoice", invoice, "BalanceRemaining") == "30.00"
    file.delete("ReceivePayment", payment["TxnID"])
    assert left(file, "Invoice", invoice, "BalanceRemaining") == "100.00"
    file.void("Invoice", invoice["TxnID"])
    assert not balances(file)


def test_a_payment_can_be_changed_after_its_invoice_went_and_moved_to_another_charge() -> None:
    file = new_file()
    ann = customer(file)
    first, second = sale(file, "Invoice", ann, "100.00"), sale(file, "Invoice", ann, "80.00")
    payment = pay(file, ann, "150.00", on(first, "100.00"), on(second, "50.00"))
    file.delete("Invoice", second["TxnID"])
    file.edit("ReceivePayment", payment["TxnID"], Memo="by card")
    assert left(file, "ReceivePayment", payment, "UnusedPayment") == "50.00"
    line = {"AccountRef": {"FullName": "Accounts Receivable"}, "Amount": "100.00"}
    head = {"AccountRef": {"FullName": "Stripe Clearing"}, "PayeeEntityRef": ref(ann)}
    check = file.add("Check", head | {"ExpenseLineAdd": [line]})
    moved = [on(first, "0.00"), on(check, "100.00")]
    file.edit("ReceivePayment", payment["TxnID"], AppliedToTxnMod=moved)
    assert left(file, "Invoice", first, "BalanceRemaining") == "100.00"
    applied = file.get("ReceivePayment", payment["TxnID"])["AppliedToTxnRet"]  # type: ignore[index]
    assert [(each["TxnType"], each["Amount"], each["BalanceRemaining"]) for each in applied] == [
        ("Check", "100.00", "0.00")
    ]
    balances(file)


def test_credits_pay_invoices_without_a_transaction_of_their_own() -> None:
    file = new_file()
    ann = customer(file)
    memo, invoice = sale(file, "CreditMemo", ann, "30.00"), sale(file, "Invoice", ann, "100.00")
    credit = {"CreditTxnID": memo["TxnID"], "AppliedAmount": "30.00"}
    made = pay(file, ann, "0.00", {"TxnID": invoice["TxnID"], "SetCredit": [credit]})
    assert "TxnID" not in made
    assert not file.all("ReceivePayment")
    assert left(file, "Invoice", invoice, "BalanceRemaining") == "70.00"
    assert left(file, "CreditMemo", memo, "CreditRemaining") == "0.00"


REFUSED_PAYMENTS = {
    "more than is due": ("100.01", "100.01", 3210, "You cannot pay more than the amount due."),
    "more than is received": ("50.00", "60.00", 3210, "You cannot apply more than the amount received."),
}


@pytest.mark.parametrize("case", REFUSED_PAYMENTS)
def test_a_refused_payment_leaves_no_trace(case: str) -> None:
    total, applied, code, text = REFUSED_PAYMENTS[case]
    file = new_file()
    ann = customer(file)
    invoice = sale(file, "Invoice", ann, "100.00")
    with pytest.raises(Refused, match=text.replace(".", r"\.")) as refusal:
        pay(file, ann, total, on(invoice, applied))
    assert refusal.value.code == code
    assert not file.all("ReceivePayment")
    assert left(file, "Invoice", invoice, "BalanceRemaining") == "100.00"


def test_a_paid_invoice_is_not_found_by_a_second_payment() -> None:
    file = new_file()
    ann = customer(file)
    invoice = sale(file, "Invoice", ann, "100.00")
    pay(file, ann, "100.00", on(invoice, "100.00"))
    with pytest.raises(Refused) as refusal:
        pay(file, ann, "100.00", on(invoice, "100.00"))
    assert refusal.value.code == 3120


def test_a_payment_in_a_deposit_and_a_closed_period_stay_as_they_are() -> None:
    file = new_file()
    ann = customer(file)
    payment = pay(file, ann, "50.00", into="Undeposited Funds", IsAutoApply="false")
    lines = [{"PaymentTxnID": payment["TxnID"]}]
    file.add("Deposit", {"DepositToAccountRef": {"FullName": "Checking"}, "DepositLineAdd": lines})
    with pytest.raises(Refused, match="deposited"):
        file.delete("ReceivePayment", payment["TxnID"])
    file.set(closing_date="2026-12-31")
    with pytest.raises(Refused, match="closed") as refusal:
        sale(file, "Invoice", ann, "1.00")
    assert refusal.value.code == 3260


def test_deletions_are_told_but_for_transfers() -> None:
    file = new_file(Clock(NOON))
    ann = customer(file)
    payment = pay(file, ann, "50.00", IsAutoApply="false", RefNumber="ch_1")
    sides = {
        "TransferFromAccountRef": {"FullName": "Stripe Clearing"},
        "TransferToAccountRef": {"FullName": "Checking"},
    }
    transfer = file.add("Transfer", sides | {"Amount": "40.00"})
    file.delete("ReceivePayment", payment["TxnID"])
    file.delete("Transfer", transfer["TxnID"])
    span = "<DeletedDateRangeFilter><FromDeletedDate>2026-11-20</FromDeletedDate></DeletedDateRangeFilter>"
    kinds = "<TxnDelType>ReceivePayment</TxnDelType><TxnDelType>Deposit</TxnDelType>"
    answer = ask_one(file, f"<TxnDeletedQueryRq>{kinds}{span}</TxnDeletedQueryRq>")
    assert texts(answer, "TxnDeletedRet/TxnID") == [payment["TxnID"]]
    assert texts(answer, "TxnDeletedRet/RefNumber") == ["ch_1"]
    file.delete("Customer", customer(file, "Bob")["ListID"])
    answer = ask_one(file, f"<ListDeletedQueryRq><ListDelType>Customer</ListDelType>{span}</ListDeletedQueryRq>")
    assert texts(answer, "ListDeletedRet/FullName") == ["Bob"]
    gone = ask_one(file, f"<TransferQueryRq><TxnID>{transfer['TxnID']}</TxnID></TransferQueryRq>")
    assert status(gone)[0] == 500
