"""Documents and what they do to the books: the postings of docs/ACCOUNTING, edits, voids, deletes, and chance."""

from datetime import date
from decimal import Decimal
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from emulators.qbo import QboEmulator, QboFault
from tests.contract.qbo_company import (
    assert_contract,
    balances,
    bank,
    customer,
    journal_line,
    link,
    new_company,
    pay,
    ref,
    sale,
    sale_line,
    spend,
)


@pytest.fixture
def books() -> QboEmulator:
    return new_company()


def read(books: QboEmulator, entity: str, body: dict[str, Any]) -> dict[str, Any]:
    return books.read(entity, body["Id"])


def test_a_payment_pays_an_invoice_and_its_fee_leaves_clearing(books: QboEmulator) -> None:
    ann, clearing = customer(books), bank(books)
    invoice = sale(books, "Invoice", ann, 150)
    assert invoice["Balance"] == 150
    payment = pay(books, ann, 100, link(100, invoice), into=clearing)
    spend(books, clearing, 3.2, books.account("Bank Charges & Fees"))
    after = read(books, "Invoice", invoice)
    assert (after["Balance"], after["LinkedTxn"]) == (50, [{"TxnId": payment["Id"], "TxnType": "Payment"}])
    assert after["SyncToken"] == "0"
    assert payment["UnappliedAmt"] == 0
    assert read(books, "Customer", ann)["Balance"] == 50
    assert read(books, "Account", clearing)["CurrentBalance"] == 96.8
    expected = {"Stripe Clearing": 9680, "Accounts Receivable (A/R)": 5000, "Services": -15000}
    assert balances(books) == {**expected, "Bank Charges & Fees": 320}
    assert_contract(books)


def test_an_overpayment_stays_as_credit_and_more_than_the_balance_is_refused(books: QboEmulator) -> None:
    ann = customer(books)
    invoice = sale(books, "Invoice", ann, 80)
    with pytest.raises(QboFault) as caught:
        pay(books, ann, 100, link(100, invoice))
    assert caught.value.code == "6000"
    assert read(books, "Invoice", invoice)["Balance"] == 80  # nothing half-done
    payment = pay(books, ann, 100, link(80, invoice))
    assert payment["UnappliedAmt"] == 20
    assert read(books, "Customer", ann)["Balance"] == -20


def test_payment_lines_are_replaced_all_or_none(books: QboEmulator) -> None:
    ann = customer(books)
    first, second = sale(books, "Invoice", ann, 60), sale(books, "Invoice", ann, 40)
    payment = pay(books, ann, 60, link(60, first))
    head = {"Id": payment["Id"], "sparse": True}
    memo = books.update("Payment", {**head, "SyncToken": "0", "PrivateNote": "moved"})
    assert (memo["Line"], memo["SyncToken"], memo["PrivateNote"]) == (payment["Line"], "1", "moved")
    books.update("Payment", {**head, "SyncToken": "1", "Line": [link(40, second)]})
    assert [read(books, "Invoice", each)["Balance"] for each in (first, second)] == [60, 0]
    assert read(books, "Payment", payment)["UnappliedAmt"] == 20
    with pytest.raises(QboFault) as caught:
        books.update("Payment", {**head, "SyncToken": "1", "PrivateNote": "late"})
    assert caught.value.code == "5010"


def test_a_refund_through_receivables_links_credit_memo_and_expense(books: QboEmulator) -> None:
    ann, clearing = customer(books), bank(books)
    memo = sale(books, "CreditMemo", ann, 30)
    receivable = books.account("Accounts Receivable (A/R)")
    expense = spend(books, clearing, 30, receivable, EntityRef={**ref(ann), "type": "Customer"})
    pay(books, ann, 0, link(30, memo, "CreditMemo"), link(30, expense, "Expense"))
    assert read(books, "CreditMemo", memo)["RemainingCredit"] == 0
    assert read(books, "Customer", ann)["Balance"] == 0
    assert balances(books) == {"Stripe Clearing": -3000, "Services": 3000}
    books.switch(expense_links=False)
    with pytest.raises(QboFault) as caught:
        pay(books, ann, 0, link(30, expense, "Expense"))
    assert caught.value.code == "620"
    assert_contract(books)


def test_refunds_receipts_disputes_payouts_and_an_opening_balance(books: QboEmulator) -> None:
    ann, clearing = customer(books), bank(books)
    held = books.create("Account", {"Name": "Disputes receivable", "AccountType": "Other Current Asset"})
    fees, checking = books.account("Bank Charges & Fees"), books.account("Checking")
    opening = [
        journal_line("Debit", 500, clearing),
        journal_line("Credit", 500, books.account("Opening Balance Equity")),
    ]
    books.create("JournalEntry", {"TxnDate": "2026-10-01", "Line": opening})
    sale(books, "SalesReceipt", ann, 100, DepositToAccountRef=ref(clearing), TxnDate="2026-10-05")
    sale(books, "RefundReceipt", ann, 30, DepositToAccountRef=ref(clearing), TxnDate="2026-10-06")
    dispute = [journal_line("Debit", 100, held), journal_line("Debit", 15, fees), journal_line("Credit", 115, clearing)]
    books.create("JournalEntry", {"TxnDate": "2026-10-07", "Line": dispute})
    transfer = {"FromAccountRef": ref(clearing), "ToAccountRef": ref(checking), "Amount": 400, "TxnDate": "2026-10-08"}
    books.create("Transfer", transfer)
    days = [books.account_balance(clearing["Id"], date(2026, 10, day)) for day in (1, 4, 5, 6, 7, 8)]
    assert days == [50000, 50000, 60000, 57000, 45500, 5500]
    assert books.account_balance(clearing["Id"], date(2026, 9, 30)) == 0
    assert sum(books.trial_balance(date(2026, 10, 6)).values()) == 0
    assert balances(books)["Disputes receivable"] == 10000
    assert_contract(books)


def test_realised_differences_go_to_exchange_gain_or_loss(books: QboEmulator) -> None:
    """Row 19: EUR 100 invoiced at 1.05 is settled as USD 108.00; row 20: a clearing account in EUR."""
    eva, clearing = customer(books, "Eva", "EUR"), bank(books)
    invoice = sale(books, "Invoice", eva, 100, ExchangeRate=1.05)
    assert (invoice["HomeTotalAmt"], invoice["HomeBalance"]) == (105, 105)
    pay(books, eva, 100, link(100, invoice), into=clearing, ExchangeRate=Decimal("1.08"))
    assert balances(books) == {"Stripe Clearing": 10800, "Services": -10500, "Exchange Gain or Loss": -300}
    euros = bank(books, "Clearing EUR", "EUR")
    second = sale(books, "Invoice", eva, 33.33, ExchangeRate=1.05)
    for part in (11.11, 22.22):
        pay(books, eva, part, link(part, second), into=euros, ExchangeRate=1.1)
    assert books.account_balance(euros["Id"]) == 3333
    assert balances(books).get("Accounts Receivable (A/R) - EUR") is None
    assert books.trial_balance()[books.account("Accounts Receivable (A/R) - EUR")["Id"]] == 0
    assert_contract(books)


def test_yen_have_no_cents(books: QboEmulator) -> None:
    yuki, yen = customer(books, "Yuki", "JPY"), bank(books, "Clearing JPY", "JPY")
    pay(books, yuki, 12000, link(12000, sale(books, "Invoice", yuki, 12000)), into=yen)
    assert books.account_balance(yen["Id"]) == 12000
    assert read(books, "Account", yen)["CurrentBalance"] == 12000


def test_undeposited_payments_are_deposited_whole_with_a_fee_line(books: QboEmulator) -> None:
    ann, checking = customer(books), books.account("Checking")
    payment = pay(books, ann, 100, link(100, sale(books, "Invoice", ann, 100)))
    receipt = sale(books, "SalesReceipt", ann, 50)
    fee = {"Amount": -4.5, "DetailType": "DepositLineDetail"}
    fee["DepositLineDetail"] = {"AccountRef": ref(books.account("Bank Charges & Fees"))}
    lines = [link(100, payment, "Payment"), link(50, receipt, "SalesReceipt"), fee]
    request = {"DepositToAccountRef": ref(checking), "Line": lines}
    deposit = books.create("Deposit", request)
    assert deposit["TotalAmt"] == 145.5
    assert balances(books)["Checking"] == 14550
    assert "Undeposited Funds" not in balances(books)
    for refused in (
        lambda: books.void("Payment", read(books, "Payment", payment)),
        lambda: books.delete("SalesReceipt", read(books, "SalesReceipt", receipt)),
    ):
        with pytest.raises(QboFault) as caught:
            refused()
        assert caught.value.code == "6540"
    with pytest.raises(QboFault):
        books.create("Deposit", request)  # already deposited
    assert_contract(books)
    books.delete("Deposit", deposit)
    books.void("Payment", read(books, "Payment", payment))
    assert balances(books)["Undeposited Funds"] == 5000


def test_a_deposit_line_with_a_detail_needs_its_account_even_when_linked(books: QboEmulator) -> None:
    payment = pay(books, customer(books), 10)
    line = link(10, payment, "Payment") | {"DetailType": "DepositLineDetail"}
    with pytest.raises(QboFault) as caught:
        books.create("Deposit", {"DepositToAccountRef": ref("1"), "Line": [line]})
    assert "Line.DepositLineDetail.AccountRef is missing" in str(caught.value)


def test_a_payment_follows_when_its_invoice_changes_or_goes(books: QboEmulator) -> None:
    ann = customer(books)
    invoice = sale(books, "Invoice", ann, 100, PrivateNote="first")
    payment = pay(books, ann, 100, link(100, invoice))
    with pytest.raises(QboFault):
        books.void("Invoice", invoice)
    smaller = books.update("Invoice", {"Id": invoice["Id"], "SyncToken": "0", "sparse": True, "Line": [sale_line(70)]})
    assert (smaller["Balance"], smaller["PrivateNote"]) == (0, "first")
    assert (read(books, "Payment", payment)["UnappliedAmt"], balances(books)["Services"]) == (30, -7000)
    books.delete("Invoice", smaller)
    after = read(books, "Payment", payment)
    assert (after["Line"], after["UnappliedAmt"]) == ([], 100)
    assert balances(books) == {"Undeposited Funds": 10000, "Accounts Receivable (A/R)": -10000}
    voided = books.void("Payment", after)
    assert (voided["TotalAmt"], voided["PrivateNote"], balances(books)) == (0, "Voided", {})
    assert_contract(books)


def test_a_void_of_a_paid_invoice_may_be_allowed(books: QboEmulator) -> None:
    books.switch(void_paid_invoices=True)
    ann = customer(books)
    invoice = sale(books, "Invoice", ann, 100)
    payment = pay(books, ann, 100, link(100, invoice))
    voided = books.void("Invoice", invoice)
    assert (voided["TotalAmt"], voided["Balance"], voided["LinkedTxn"]) == (0, 0, [])
    assert read(books, "Payment", payment)["UnappliedAmt"] == 100


def test_the_company_may_apply_payments_and_credits_by_itself(books: QboEmulator) -> None:
    preferences = {"Id": "1", "SyncToken": "0", "sparse": True}
    preferences["SalesFormsPrefs"] = {"AutoApplyPayments": True, "AutoApplyCredit": True}
    books.update("Preferences", preferences)
    ann = customer(books)
    first, second = sale(books, "Invoice", ann, 60), sale(books, "Invoice", ann, 60)
    assert pay(books, ann, 80)["UnappliedAmt"] == 0
    assert [read(books, "Invoice", each)["Balance"] for each in (first, second)] == [0, 40]
    assert sale(books, "CreditMemo", ann, 50)["RemainingCredit"] == 10
    assert read(books, "Customer", ann)["Balance"] == -10
    assert balances(books)["Accounts Receivable (A/R)"] == -1000


def test_a_company_registered_for_tax_asks_for_codes_and_reclaims_what_it_paid(books: QboEmulator) -> None:
    codes, ann, clearing = books.register_for_vat(), customer(books), bank(books)
    fees = books.account("Bank Charges & Fees")
    with pytest.raises(QboFault) as caught:
        spend(books, clearing, 10, fees)
    assert caught.value.code == "6100"
    with pytest.raises(QboFault) as caught:
        sale(books, "Invoice", ann, 100)
    assert caught.value.code == "6100"

    def spent(code: str, **more: Any) -> Any:
        detail = {"AccountRef": ref(fees), "TaxCodeRef": ref(codes[code])}
        line = {"Amount": 10, "DetailType": "AccountBasedExpenseLineDetail", "AccountBasedExpenseLineDetail": detail}
        body = {"PaymentType": "Cash", "AccountRef": ref(clearing), "Line": [line], **more}
        return books.create("Purchase", body)["TotalAmt"]

    assert spent("20.0% S") == 12
    assert spent("20.0% S", TxnTaxDetail={"TotalTax": 2.01}) == 12.01
    assert spent("20.0% RC SG") == 10
    line = sale_line(100)
    line["SalesItemLineDetail"]["TaxCodeRef"] = ref(codes["20.0% S"])
    assert books.create("Invoice", {"CustomerRef": ref(ann), "Line": [line]})["TotalAmt"] == 120
    assert balances(books)["VAT Control"] == 401 - 2000
    assert_contract(books)


def test_tax_and_discount_stand_between_lines_and_total(books: QboEmulator) -> None:
    half = {"DetailType": "DiscountLineDetail", "DiscountLineDetail": {"PercentBased": True, "DiscountPercent": 12.5}}
    request = {"CustomerRef": ref(customer(books)), "Line": [sale_line(100), half], "TxnTaxDetail": {"TotalTax": 7.01}}
    assert books.create("Invoice", request)["TotalAmt"] == 94.51
    expected = {
        "Accounts Receivable (A/R)": 9451,
        "Services": -10000,
        "Discounts given": 1250,
        "Sales Tax Payable": -701,
    }
    assert balances(books) == expected


# --- whatever happens, the books balance ------------------------------------------------------------------------------

AMOUNTS = st.integers(1, 30_000).map(lambda cents: cents / 100)
RATES = st.integers(50, 200).map(lambda cents: cents / 100)
STEP = st.tuples(
    st.sampled_from(
        ["sell", "sell", "pay", "pay", "credit", "expense", "receipt", "deposit", "edit", "void", "delete"]
    ),
    st.integers(0, 50),
    AMOUNTS,
    RATES,
    st.integers(1, 28),
)


class Chance:
    """Carries out random steps; what the service refuses must leave everything as it was."""

    def __init__(self) -> None:
        self.books = new_company()
        self.books.switch(void_paid_invoices=True)
        self.people = [
            customer(self.books, "Ann"),
            customer(self.books, "Eva", "EUR"),
            customer(self.books, "Yuki", "JPY"),
        ]
        self.clearing = bank(self.books)
        self.euros = bank(self.books, "Clearing EUR", "EUR")
        self.made: list[tuple[str, str]] = []

    def take(self, step: tuple[str, int, float, float, int]) -> None:
        name, pick, amount, rate, day = step
        before = self.books.trial_balance()
        try:
            getattr(self, name)(pick, amount, {"ExchangeRate": rate, "TxnDate": f"2026-10-{day:02}"})
        except QboFault:
            assert self.books.trial_balance() == before

    def keep(self, entity: str, body: dict[str, Any]) -> None:
        self.made.append((entity, body["Id"]))

    def sell(self, pick: int, amount: float, more: dict[str, Any]) -> None:
        self.keep("Invoice", sale(self.books, "Invoice", self.people[pick % 3], amount, **more))

    def credit(self, pick: int, amount: float, more: dict[str, Any]) -> None:
        self.keep("CreditMemo", sale(self.books, "CreditMemo", self.people[pick % 3], amount, **more))

    def receipt(self, pick: int, amount: float, more: dict[str, Any]) -> None:
        self.keep("SalesReceipt", sale(self.books, "SalesReceipt", self.people[pick % 3], amount, **more))

    def expense(self, pick: int, amount: float, more: dict[str, Any]) -> None:
        payer = self.people[pick % 2]
        account = self.books.account("Accounts Receivable (A/R)" + (" - EUR" if pick % 2 else ""))
        source = self.euros if pick % 2 else self.clearing
        more["EntityRef"] = {**ref(payer), "type": "Customer"}
        self.keep("Purchase", spend(self.books, source, amount, account, **more))

    def pay(self, pick: int, amount: float, more: dict[str, Any]) -> None:
        payer = self.people[pick % 3]
        lines, left = [], amount
        kinds = {"Invoice": "Invoice", "CreditMemo": "CreditMemo", "Purchase": "Expense"}
        for entity, number in self.made[-4:]:
            body = self.books.store.get(entity, number)
            if (
                entity not in kinds
                or body is None
                or body.get("CustomerRef", body.get("EntityRef"))["value"] != payer["Id"]
            ):
                continue
            part = min(left, body.get("Balance", body["TotalAmt"]))
            lines.append(link(round(part, 2), body, kinds[entity]))
            left = round(left - (part if entity != "CreditMemo" else -part), 2)
        into = [None, self.clearing, self.euros][pick % 3 if payer is self.people[1] else pick % 2]
        self.keep("Payment", pay(self.books, payer, amount, *lines, into=into, **more))

    def deposit(self, pick: int, _amount: float, more: dict[str, Any]) -> None:
        entity, number = self.made[pick % len(self.made)] if self.made else ("", "")
        source = self.books.store.get(entity, number)
        if source is None or entity not in ("Payment", "SalesReceipt"):
            return
        amount = source["TotalAmt"] if source["CurrencyRef"]["value"] == "USD" else 1
        request = {"DepositToAccountRef": ref("1"), "Line": [link(amount, source, entity)], **more}
        self.keep("Deposit", self.books.create("Deposit", request))

    def edit(self, pick: int, amount: float, more: dict[str, Any]) -> None:
        entity, body = self.some(pick)
        if entity in ("Invoice", "CreditMemo", "SalesReceipt"):
            more["Line"] = [sale_line(amount)]
        elif entity == "Payment":
            more["TotalAmt"] = amount
        self.books.update(entity, {"Id": body["Id"], "SyncToken": body["SyncToken"], "sparse": True, **more})

    def void(self, pick: int, _amount: float, _more: dict[str, Any]) -> None:
        self.books.void(*self.some(pick))

    def delete(self, pick: int, _amount: float, _more: dict[str, Any]) -> None:
        self.books.delete(*self.some(pick))

    def some(self, pick: int) -> tuple[str, dict[str, Any]]:
        alive = [(entity, body) for entity, number in self.made if (body := self.books.store.get(entity, number))]
        return alive[pick % len(alive)] if alive else ("Invoice", {"Id": "0", "SyncToken": "0"})


@hypothesis.settings(max_examples=60, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(st.lists(STEP, min_size=5, max_size=30))
def test_the_trial_balance_is_zero_after_any_documents_edits_voids_and_deletes(steps: list[Any]) -> None:
    chance = Chance()
    for step in steps:
        chance.take(step)
    books = chance.books
    balances(books)
    assert_open_items_agree(books)
    assert_contract(books)
    for name in ("Deposit", "Payment", "Invoice", "CreditMemo", "SalesReceipt", "Purchase"):
        for body in books.store.find(name):
            books.delete(name, books.read(name, body["Id"]))
    assert not any(books.trial_balance().values())
    assert not any(books.account_balance(body["Id"]) for body in books.store.find("Account"))


def assert_open_items_agree(books: QboEmulator) -> None:
    """Receivables are the sum of what the documents say is open, and each customer's balance is theirs."""
    totals: dict[str, Decimal] = {}
    signs = {"Invoice": ("Balance", 1), "CreditMemo": ("RemainingCredit", -1), "Payment": ("UnappliedAmt", -1)}
    for entity, (name, sign) in signs.items():
        for body in books.store.find(entity):
            who = body["CustomerRef"]["value"]
            totals[who] = totals.get(who, Decimal(0)) + sign * Decimal(str(body[name]))
    for item in books.store.find("open"):
        if item["document"].startswith("Purchase"):
            who = item["party"].partition(":")[2]
            totals[who] = totals.get(who, Decimal(0)) + Decimal(item["left"]) / 100
    for body in books.store.find("Customer"):
        assert Decimal(str(body["Balance"])) == totals.get(body["Id"], Decimal(0))
