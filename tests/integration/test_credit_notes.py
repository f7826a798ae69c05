"""Row 26: Stripe's credit notes through both wire formats, held against the laws in the emulated books."""

from typing import Any

import pytest

from storage import connections, queries
from storage.engine import Database
from storage.findings import Finding
from sync import mending
from sync.errors import Ambiguous
from sync.ports import Fetched, Write
from tests.integration.conftest import Company, link
from tests.integration.office import Office
from tests.integration.test_rows import balance, euro_customer, linked, sync_and_check, waiting
from tests.integration.test_sending import pass_a_day, sender, standing, switch
from tests.integration.test_sending import there as stripe_invoices

RECEIVABLE, RECEIVABLE_EUR = "Accounts Receivable (A/R)", "Accounts Receivable (A/R) - EUR"


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    """One kind is enough: nothing here is about SQL."""
    return sqlite_database


def invoiced(company: Company, **more: Any) -> tuple[dict[str, Any], str, str]:
    """An invoice of 100.00 in the books, and the same open at Stripe: the books' own, Stripe's id, the customer."""
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    return invoice, invoiced_at_stripe(company, stripe_customer, invoice, **more), customer


def invoiced_at_stripe(company: Company, stripe_customer: str, invoice: dict[str, Any], **more: Any) -> str:
    """The id of the same invoice of 100.00, open at Stripe."""
    metadata = {"metadata": {"qbo_invoice_id": invoice["Id"]}}
    terms = {"customer": stripe_customer, "collection_method": "send_invoice", "days_until_due": 30}
    draft = str(company.stripe.request("POST", "/v1/invoices", terms | metadata | more)["id"])
    lines = {"lines": [{"amount": 10_000, "description": "Design"}]}
    company.stripe.request("POST", f"/v1/invoices/{draft}/add_lines", lines)
    company.stripe.request("POST", f"/v1/invoices/{draft}/finalize")
    return draft


def credit(company: Company, invoice: str, amount: int, **more: Any) -> dict[str, Any]:
    return company.stripe.request("POST", "/v1/credit_notes", {"invoice": invoice, "amount": amount, **more})


def pay(company: Company, invoice: str) -> None:
    company.stripe.request("POST", f"/v1/invoices/{invoice}/pay", {"payment_method": "pm_card_visa"})


def odd(company: Company) -> list[Finding]:
    found = queries.odd(company.environment.database, link(company).id)
    return [each for each in found if each.code == "credit_note"]


def leave(company: Company, finding: Finding) -> None:
    environment = company.environment
    actor = Office(environment, company.stripe, company.qbo).person()
    (offer,) = finding.offers
    link_id = link(company).id
    assert mending.mend(environment.database, environment.clock, actor, link_id, finding.id, finding.version, offer)


def test_a_credit_note_lowers_an_open_invoice_and_the_rest_is_paid(company: Company) -> None:
    invoice, there, customer = invoiced(company)
    note = credit(company, there, 2_500)
    sync_and_check(company)
    (memo,) = company.ours("CreditMemo")
    assert (memo["TotalAmt"], memo["RemainingCredit"], memo["DocNumber"]) == (25, 0, note["number"])
    (applied,) = company.ours("Payment")
    assert (applied["TotalAmt"], linked(applied)) == (0, {"CreditMemo": 25, "Invoice": 25})
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 75

    pay(company, there)
    sync_and_check(company, days=8)
    assert company.qbo.read("Customer", customer)["Balance"] == 0
    assert balance(company, RECEIVABLE) == 0
    sync_and_check(company)
    assert len(company.ours("CreditMemo")) == 1
    assert waiting(company) == set()
    assert odd(company) == []


def test_a_credit_note_in_euros_goes_in_at_the_rate_of_its_invoice(company: Company) -> None:
    stripe_customer, customer = euro_customer(company)
    invoice = company.invoice(customer, 10_000, "INV-1")
    there = invoiced_at_stripe(company, stripe_customer, invoice, currency="eur")
    day = company.clock.now().date().isoformat()
    company.qbo.create("ExchangeRate", {"SourceCurrencyCode": "EUR", "Rate": 1.4, "AsOfDate": day})
    owed = balance(company, RECEIVABLE_EUR)
    credit(company, there, 2_500)
    sync_and_check(company)
    (memo,) = company.ours("CreditMemo")
    assert (memo["CurrencyRef"]["value"], memo["TotalAmt"], memo["RemainingCredit"]) == ("EUR", 25, 0)
    assert memo["ExchangeRate"] == invoice["ExchangeRate"] != 1.4
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 75
    assert balance(company, "Exchange Gain or Loss") == 0

    pay(company, there)
    sync_and_check(company)
    sync_and_check(company)
    assert (owed, balance(company, RECEIVABLE_EUR)) == (10_000, 0)
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 0
    assert (waiting(company), odd(company), len(company.ours("CreditMemo"))) == (set(), [], 1)


def test_a_credit_note_and_the_payment_of_the_rest_at_once(company: Company) -> None:
    invoice, there, _ = invoiced(company)
    company.sync()
    credit(company, there, 1_000)
    credit(company, there, 1_500)
    pay(company, there)
    sync_and_check(company)
    sync_and_check(company)
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 0
    assert sorted(body["TotalAmt"] for body in company.ours("CreditMemo")) == [10, 15]
    assert balance(company, RECEIVABLE) == 0
    assert (waiting(company), odd(company)) == (set(), [])


def test_what_a_credit_note_refunds_lowers_income_once_and_the_rest_is_credit_or_waits(company: Company) -> None:
    _, there, customer = invoiced(company)
    pay(company, there)
    sync_and_check(company)
    parts = {"refund_amount": 3_000, "credit_amount": 2_000, "out_of_band_amount": 1_000}
    credit(company, there, 6_000, **parts)
    sync_and_check(company)
    assert [body["TotalAmt"] for body in company.ours("RefundReceipt")] == [30]
    (memo,) = company.ours("CreditMemo")
    assert (memo["TotalAmt"], memo["RemainingCredit"]) == (20, 20)
    assert company.qbo.read("Customer", customer)["Balance"] == -20
    (finding,) = odd(company)
    assert "10.00 USD" in finding.text
    assert "outside of Stripe" in finding.text
    leave(company, finding)
    sync_and_check(company)
    assert odd(company) == []
    assert len(company.ours("CreditMemo")) == 1


def test_a_credit_note_that_is_voided_is_shown_and_one_that_never_was_in_the_books_is_not(company: Company) -> None:
    invoice, there, _ = invoiced(company)
    gone = credit(company, there, 500)
    company.stripe.request("POST", f"/v1/credit_notes/{gone['id']}/void")
    note = credit(company, there, 2_500)
    sync_and_check(company)
    assert [body["TotalAmt"] for body in company.ours("CreditMemo")] == [25]
    company.stripe.request("POST", f"/v1/credit_notes/{note['id']}/void")
    sync_and_check(company)
    (finding,) = odd(company)
    assert "voided at Stripe" in finding.text
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 75


def test_a_credit_that_is_in_the_books_already_is_not_posted_again(company: Company) -> None:
    _, there, customer = invoiced(company)
    item = {"ItemRef": {"value": "1"}}
    line = {"Amount": 25, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": item}
    typed = company.qbo.create("CreditMemo", {"CustomerRef": {"value": customer}, "Line": [line]})
    note = credit(company, there, 2_500)
    sync_and_check(company)
    (finding,) = odd(company)
    assert "may be the record of credit note" in finding.text
    typed = company.qbo.read("CreditMemo", typed["Id"])
    company.qbo.update("CreditMemo", typed | {"DocNumber": note["number"]})
    sync_and_check(company)
    assert odd(company) == []
    assert company.ours("CreditMemo") == []


def test_an_invoice_that_was_lowered_by_hand_is_not_lowered_twice(company: Company) -> None:
    invoice, there, _ = invoiced(company)
    lower = invoice["Line"][0] | {"Amount": 75}
    company.qbo.update("Invoice", invoice | {"Line": [lower]})
    credit(company, there, 2_500)
    sync_and_check(company)
    (finding,) = odd(company)
    assert "paid or lowered some other way" in finding.text
    assert company.ours("CreditMemo") == []
    leave(company, finding)
    sync_and_check(company)
    assert odd(company) == []
    assert company.ours("CreditMemo") == []


def give_in_books(company: Company, invoice: dict[str, Any], amount: int) -> None:
    """A credit memo that somebody types in and applies to an invoice."""
    customer, item = {"CustomerRef": invoice["CustomerRef"]}, {"ItemRef": {"value": "1"}}
    line = {"Amount": amount / 100, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": item}
    memo = company.qbo.create("CreditMemo", customer | {"Line": [line]})
    targets = (("CreditMemo", memo["Id"]), ("Invoice", invoice["Id"]))
    lines = [{"Amount": amount / 100, "LinkedTxn": [{"TxnType": kind, "TxnId": id_}]} for kind, id_ in targets]
    company.qbo.create("Payment", customer | {"TotalAmt": 0, "Line": lines})


def test_a_credit_memo_that_is_used_with_money_is_no_credit_note(company: Company) -> None:
    """Nobody can say how much of it Stripe would collect again, or already has."""
    _, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    item = {"ItemRef": {"value": "1"}}
    line = {"Amount": 25, "DetailType": "SalesItemLineDetail", "SalesItemLineDetail": item}
    memo = company.qbo.create("CreditMemo", {"CustomerRef": invoice["CustomerRef"], "Line": [line]})
    parts = (("CreditMemo", memo["Id"], 25), ("Invoice", invoice["Id"], 60))
    lines = [{"Amount": amount, "LinkedTxn": [{"TxnType": kind, "TxnId": id_}]} for kind, id_, amount in parts]
    company.qbo.create("Payment", {"CustomerRef": invoice["CustomerRef"], "TotalAmt": 35, "Line": lines})
    sync_and_check(company)
    assert notes(company) == []
    assert (standing(company, invoice).kind, standing(company, invoice).reason) == ("wait", "paid_otherwise")


def notes(company: Company) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = company.stripe.request("GET", "/v1/credit_notes", {"limit": 100})["data"]
    return found


def test_a_credit_in_the_books_becomes_a_credit_note_that_never_comes_back(company: Company) -> None:
    _, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    switch(company, "send")
    company.sync()
    give_in_books(company, invoice, 2_500)
    sync_and_check(company)
    (note,) = notes(company)
    assert (note["amount"], note["type"], note["invoice"]) == (2_500, "pre_payment", stripe_invoices(company)[0]["id"])
    assert stripe_invoices(company)[0]["amount_remaining"] == 7_500
    assert (standing(company, invoice).kind, standing(company, invoice).reason) == ("rest", "open")

    pay(company, stripe_invoices(company)[0]["id"])
    sync_and_check(company)
    sync_and_check(company)
    assert company.ours("CreditMemo") == []
    assert len(notes(company)) == 1
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 0
    assert standing(company, invoice).reason == "paid"
    assert (waiting(company), odd(company)) == (set(), [])


def test_a_credit_note_at_stripe_of_an_invoice_that_we_sent_comes_back_once(company: Company) -> None:
    _, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    (sent,) = stripe_invoices(company)
    credit(company, sent["id"], 2_500)
    sync_and_check(company)
    sync_and_check(company)
    assert len(notes(company)) == len(company.ours("CreditMemo")) == 1
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 75
    assert (standing(company, invoice).kind, standing(company, invoice).reason) == ("rest", "open")


class Deaf:
    """Writes to Stripe, and never hears the answer."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)

    def write(self, write: Write) -> Fetched:
        self._processor.write(write)
        raise Ambiguous("No answer came.")


def test_an_answer_to_a_credit_note_that_was_lost_gives_no_second_one(company: Company) -> None:
    """Found by its metadata when Stripe has forgotten the key."""
    _, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    switch(company, "off")
    give_in_books(company, invoice, 2_500)
    company.sync()
    switch(company, "finalize")
    sender(company, Deaf(sender(company).processor)).send()
    assert (len(notes(company)), standing(company, invoice).reason) == (1, "unclear")
    pass_a_day(company)
    company.sync()
    assert len(notes(company)) == 1
    assert (standing(company, invoice).kind, standing(company, invoice).reason) == ("rest", "open")


def test_leaving_what_was_credited_outside_keeps_the_rest_from_nothing(company: Company) -> None:
    _, there, _ = invoiced(company)
    pay(company, there)
    sync_and_check(company)
    set_posting(company, False)
    credit(company, there, 3_000, credit_amount=2_000, out_of_band_amount=1_000)
    company.sync()
    (finding,) = odd(company)
    leave(company, finding)
    company.sync()
    set_posting(company, True)
    sync_and_check(company)
    assert [body["TotalAmt"] for body in company.ours("CreditMemo")] == [20]
    assert odd(company) == []


def set_posting(company: Company, is_on: bool) -> None:
    with company.environment.database.write() as conn:
        connections.change_link(conn, link(company).id, posting_on=is_on)


def lower(company: Company, invoice: dict[str, Any], amount: int) -> None:
    """Somebody lowers an invoice in the books, whatever was paid of it."""
    current = company.qbo.read("Invoice", invoice["Id"])
    company.qbo.update("Invoice", current | {"Line": [current["Line"][0] | {"Amount": amount / 100}]})


def agree(company: Company, invoice: dict[str, Any]) -> None:
    """Both systems ask for the same: in all, and still."""
    (there,), here = stripe_invoices(company), company.qbo.read("Invoice", invoice["Id"])
    credited = there["pre_payment_credit_notes_amount"] + there["post_payment_credit_notes_amount"]
    asked = (there["total"] - credited, there["amount_remaining"])
    assert asked == (round(here["TotalAmt"] * 100), round(here["Balance"] * 100))


def test_an_invoice_lowered_after_a_part_was_paid_is_credited_at_stripe_and_not_again_here(company: Company) -> None:
    _, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    (sent,) = stripe_invoices(company)
    part = company.pay(sent["customer"], 4_000)["id"]
    company.stripe.request("POST", f"/v1/invoices/{sent['id']}/attach_payment", {"payment_intent": part})
    sync_and_check(company)
    for amount in (8_000, 7_000):  # each is another credit note
        lower(company, invoice, amount)
        sync_and_check(company)
        assert standing(company, invoice).reason == "open"
        agree(company, invoice)
    assert sorted((each["amount"], each["type"]) for each in notes(company)) == [
        (1_000, "pre_payment"),
        (2_000, "pre_payment"),
    ]
    pay(company, sent["id"])
    sync_and_check(company)
    sync_and_check(company)
    agree(company, invoice)
    assert (len(notes(company)), company.ours("CreditMemo"), balance(company, RECEIVABLE)) == (2, [], 0)
    assert (waiting(company), odd(company), standing(company, invoice).reason) == (set(), [], "paid")


@pytest.mark.parametrize("how", ["refund", "credit"])
def test_an_invoice_lowered_below_what_was_paid_waits_for_who_says_how_it_goes_back(company: Company, how: str) -> None:
    _, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    switch(company, "finalize")
    company.sync()
    (sent,) = stripe_invoices(company)
    pay(company, sent["id"])
    sync_and_check(company)
    lower(company, invoice, 8_000)
    sync_and_check(company)
    assert notes(company) == []
    stands = standing(company, invoice)
    assert (stands.kind, stands.reason) == ("wait", "credit_exceeds")
    assert "credit note of 20.00 USD" in stands.detail

    credit(company, sent["id"], 2_000, **{f"{how}_amount": 2_000})  # as it says
    sync_and_check(company)
    sync_and_check(company)
    agree(company, invoice)
    if how == "credit":
        (finding,) = odd(company)
        assert "has that credit in QuickBooks already" in finding.text
        leave(company, finding)
        sync_and_check(company)
        assert company.ours("CreditMemo") == []
        assert company.qbo.read("Customer", customer)["Balance"] == -20, "as at Stripe"
        assert (standing(company, invoice).reason, odd(company)) == ("paid", [])
        return
    assert (standing(company, invoice).reason, waiting(company), odd(company)) == ("paid", set(), [])
    assert balance(company, RECEIVABLE) == 0
    assert company.qbo.read("Customer", customer)["Balance"] == 0
