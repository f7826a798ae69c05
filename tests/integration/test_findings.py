"""Documents that are odd (rows 3, 23, 24, 27 and 28): found by a sync, mended by a person, held against the books."""

from typing import Any

import pytest

from storage import findings, queries
from storage.findings import Finding
from sync import mending
from sync.commands import RefusedError
from tests.integration.conftest import Company, link
from tests.integration.test_rows import balance, linked, paid_charge, sync_and_check, waiting
from tests.integration.test_sending import on_sqlite, switch
from tests.integration.test_trouble import accountant


def found(company: Company) -> dict[str, Finding]:
    with company.environment.database.read() as conn:
        return {each.code: each for each in findings.standing(conn, link(company).id)}


def mend(company: Company, finding: Finding, action: str) -> bool:
    environment, (offer,) = company.environment, [each for each in finding.offers if each.action == action]
    person = accountant(company)
    return mending.mend(
        environment.database, environment.clock, person, link(company).id, finding.id, finding.version, offer
    )


def change(company: Company, entity: str, body: dict[str, Any], **values: Any) -> None:
    head = {"Id": body["Id"], "SyncToken": body["SyncToken"], "sparse": True}
    company.qbo.update(entity, head | values)


def typed_payment(company: Company, account: str) -> str:
    """Somebody recorded a charge by hand, into another account."""
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    intent = company.pay(stripe_customer, 10_000, "Invoice INV-1")
    body = {
        "CustomerRef": {"value": customer},
        "TotalAmt": 100,
        "DepositToAccountRef": {"value": company.qbo.account(account)["Id"]},
        "PrivateNote": f"Stripe {intent['latest_charge']}",
        "Line": [{"Amount": 100, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}],
    }
    return str(company.qbo.create("Payment", body)["Id"])


def shown_reasons(company: Company) -> set[str]:
    """What the Overview says the difference is made of."""
    tied = queries.tie_out(company.environment.database, link(company).id, company.clock.now())
    assert tied is not None
    return set(tied.items["reason"])


def test_a_document_somebody_changed_is_restored_or_left(company: Company) -> None:
    paid_charge(company)
    sync_and_check(company)
    assert found(company) == {}
    (fee,) = company.ours("Purchase")
    line = fee["Line"][0] | {"Amount": 1}
    change(company, "Purchase", fee, Line=[line])
    sync_and_check(company)
    assert mend(company, found(company)["changed"], "restore")
    sync_and_check(company)
    assert company.ours("Purchase")[0]["TotalAmt"] == fee["TotalAmt"]
    assert found(company) == {}

    (fee,) = company.ours("Purchase")
    change(company, "Purchase", fee, TxnDate="2026-01-02", Line=[line])
    sync_and_check(company)
    assert "drift" in shown_reasons(company)
    assert mend(company, found(company)["changed"], "accept")
    sync_and_check(company)
    assert found(company) == {}
    assert "drift" not in shown_reasons(company)
    (fee,) = company.ours("Purchase")
    change(company, "Purchase", fee, TxnDate="2026-01-03")  # another change is another question
    sync_and_check(company)
    assert set(found(company)) == {"changed"}


def test_a_restore_that_somebody_was_quicker_than_is_asked_about_again(company: Company) -> None:
    paid_charge(company)
    sync_and_check(company)
    (fee,) = company.ours("Purchase")
    change(company, "Purchase", fee, Line=[fee["Line"][0] | {"Amount": 1}])
    sync_and_check(company)
    assert mend(company, found(company)["changed"], "restore")
    (fee,) = company.ours("Purchase")
    change(company, "Purchase", fee, Line=[fee["Line"][0] | {"Amount": 2}])  # nobody who asked has seen this
    sync_and_check(company)
    assert company.ours("Purchase")[0]["TotalAmt"] == 2
    assert mend(company, found(company)["changed"], "restore")
    sync_and_check(company)
    assert company.ours("Purchase")[0]["TotalAmt"] > 2
    assert found(company) == {}


def test_a_document_somebody_deleted_is_posted_again_under_a_new_name(company: Company) -> None:
    paid_charge(company)
    sync_and_check(company)
    (fee,) = company.ours("Purchase")
    company.qbo.delete("Purchase", {"Id": fee["Id"], "SyncToken": fee["SyncToken"]})
    sync_and_check(company)
    gone = found(company)["gone"]
    assert mend(company, gone, "post_again")
    sync_and_check(company)
    (again,) = company.ours("Purchase")
    assert (again["TotalAmt"], again["Id"] != fee["Id"]) == (fee["TotalAmt"], True)
    assert ":fee:r2:s1]" in again["PrivateNote"]
    assert found(company) == {}


def test_what_was_decided_on_another_version_is_not_done(company: Company) -> None:
    paid_charge(company)
    sync_and_check(company)
    (fee,) = company.ours("Purchase")
    change(company, "Purchase", fee, TxnDate="2026-01-02")
    sync_and_check(company)
    seen = found(company)["changed"]
    change(company, "Purchase", company.ours("Purchase")[0], TxnDate="2026-01-03")
    sync_and_check(company)
    with pytest.raises(RefusedError, match="changed since"):
        mend(company, seen, "restore")


def test_the_credit_of_a_deleted_invoice_goes_to_the_next_one(company: Company) -> None:
    paid_charge(company)
    sync_and_check(company)
    (invoice,) = company.books("Invoice")
    company.qbo.delete("Invoice", {"Id": invoice["Id"], "SyncToken": invoice["SyncToken"]})
    sync_and_check(company)
    assert found(company) == {}, "a credit that nothing could take is no question"
    after = company.invoice(invoice["CustomerRef"]["value"], 10_000, "INV-2")
    sync_and_check(company)
    assert mend(company, found(company)["credit_left"], "apply")
    sync_and_check(company)
    assert company.qbo.read("Invoice", after["Id"])["Balance"] == 0
    assert linked(company.ours("Payment")[0]) == {"Invoice": 100}
    assert found(company) == {}


@on_sqlite
def test_a_retainer_is_offered_to_the_invoice_that_comes_later(company: Company) -> None:
    switch(company, "off", charge_without_invoice="unapplied_payment")
    stripe_customer, customer = company.customer()
    company.pay(stripe_customer, 10_000, "for the spring")
    sync_and_check(company)
    assert company.ours("Payment")[0]["UnappliedAmt"] == 100
    after = company.invoice(customer, 12_000, "INV-2")
    sync_and_check(company)
    assert mend(company, found(company)["credit_left"], "apply")
    sync_and_check(company)
    assert company.qbo.read("Invoice", after["Id"])["Balance"] == 20
    assert linked(company.ours("Payment")[0]) == {"Invoice": 100}


@on_sqlite
def test_the_refund_of_a_charge_whose_invoice_is_gone_gives_its_credit_back(company: Company) -> None:
    """With the invoice its income went: a refund receipt would take it off a second time."""
    charge = paid_charge(company)
    (invoice,) = company.books("Invoice")
    company.qbo.delete("Invoice", {"Id": invoice["Id"], "SyncToken": invoice["SyncToken"]})
    sync_and_check(company)
    company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 6_000})
    sync_and_check(company)
    company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 4_000})
    sync_and_check(company)
    assert company.ours("RefundReceipt") == []
    assert linked(company.ours("Payment")[0]) == {"Expense": 100}
    assert company.qbo.read("Customer", invoice["CustomerRef"]["value"])["Balance"] == 0


@pytest.mark.parametrize(
    ("account", "code", "action"),
    [
        ("Undeposited Funds", "not_deposited", "deposit"),
        ("Savings", "in_the_bank", "transfer"),
    ],
)
def test_a_typed_payment_comes_to_the_clearing_account(company: Company, account: str, code: str, action: str) -> None:
    typed_payment(company, account)
    sync_and_check(company)
    finding = found(company)[code]
    assert mend(company, finding, action)
    sync_and_check(company)
    assert balance(company, account) == 0
    assert len(company.ours("Payment")) == 0
    (made,) = company.ours(action.capitalize())
    assert made["TxnDate"] == company.books("Payment")[0]["TxnDate"]
    assert found(company) == {}
    assert waiting(company) == set()
    charge = company.stripe.request("GET", "/v1/charges")["data"][0]["id"]
    company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 3_000})
    sync_and_check(company)
    assert [body["TotalAmt"] for body in company.ours("RefundReceipt")] == [30]


def test_the_refund_of_a_charge_typed_in_as_two_payments_knows_both(company: Company) -> None:
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 6_000, "INV-1")
    charge = company.pay(stripe_customer, 10_000)["latest_charge"]
    body = {"CustomerRef": {"value": customer}, "PrivateNote": f"Stripe {charge}"}
    body |= {"DepositToAccountRef": {"value": company.qbo.account("Savings")["Id"]}}
    line = {"Amount": 60, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}
    company.qbo.create("Payment", body | {"TotalAmt": 60, "Line": [line]})
    company.qbo.create("Payment", body | {"TotalAmt": 40})
    sync_and_check(company)
    company.stripe.request("POST", "/v1/refunds", {"charge": charge})
    sync_and_check(company)
    assert [each["TotalAmt"] for each in company.ours("RefundReceipt")] == [60]
    assert sorted(each["TotalAmt"] for each in company.ours("Purchase")) == [3.2, 40], "the fee, and the credit"


@on_sqlite
@pytest.mark.parametrize("at_once", [True, False])
def test_the_refunds_of_two_charges_typed_in_as_one_payment_share_its_credit(company: Company, at_once: bool) -> None:
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    charges = [company.pay(stripe_customer, amount)["latest_charge"] for amount in (6_000, 9_000)]
    body = {"CustomerRef": {"value": customer}, "PrivateNote": f"Stripe {' '.join(charges)}", "TotalAmt": 150}
    body |= {"DepositToAccountRef": {"value": company.qbo.account("Savings")["Id"]}}
    line = {"Amount": 100, "LinkedTxn": [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]}
    company.qbo.create("Payment", body | {"Line": [line]})
    sync_and_check(company)
    for charge in charges:
        company.stripe.request("POST", "/v1/refunds", {"charge": charge, "amount": 4_000})
        if not at_once:
            sync_and_check(company)
    sync_and_check(company)
    to_customer = [each for each in company.ours("Purchase") if each["EntityRef"]["type"] == "Customer"]
    assert sum(each["TotalAmt"] for each in to_customer) == 50, "what the payment left, and no more"
    assert sum(each["TotalAmt"] for each in company.ours("RefundReceipt")) == 30
    assert company.qbo.read("Customer", customer)["Balance"] == 0


def test_copies_and_what_is_recorded_twice_are_shown(company: Company) -> None:
    charge = paid_charge(company)
    sync_and_check(company)
    (payment,) = company.ours("Payment")
    customer = {"CustomerRef": payment["CustomerRef"], "TotalAmt": 100}
    company.qbo.create("Payment", customer | {"PrivateNote": payment["PrivateNote"]})
    typed = company.qbo.create("Payment", customer | {"PrivateNote": f"Stripe {charge}"})
    company.pass_time(minutes=1)
    company.sync()
    assert set(found(company)) == {"copied", "recorded_twice"}
    assert found(company)["recorded_twice"].document_id == f"payment:{typed['Id']}"
    assert mend(company, found(company)["recorded_twice"], "dismiss")
    company.sync()
    assert set(found(company)) == {"copied"}


@on_sqlite
def test_a_payout_that_was_added_from_the_bank_feed_too_is_shown(company: Company) -> None:
    paid_charge(company)
    sync_and_check(company, days=8)
    (transfer,) = company.ours("Transfer")
    added = {"AccountRef": {"value": company.qbo.account("Sales of Product Income")["Id"]}}
    line = {"Amount": transfer["Amount"], "DetailType": "DepositLineDetail", "DepositLineDetail": added}
    bank = {"DepositToAccountRef": transfer["ToAccountRef"], "TxnDate": transfer["TxnDate"]}
    deposit = company.qbo.create("Deposit", bank | {"Line": [line]})
    sync_and_check(company)
    assert found(company)["recorded_twice"].document_id == f"deposit:{deposit['Id']}"
    company.qbo.delete("Deposit", {"Id": deposit["Id"], "SyncToken": deposit["SyncToken"]})  # somebody chose
    sync_and_check(company)
    assert found(company) == {}


def test_a_company_that_applies_credits_by_itself_is_warned(company: Company) -> None:
    preferences = company.books("Preferences")[0]
    head = {"Id": preferences["Id"], "SyncToken": preferences["SyncToken"], "sparse": True}
    company.qbo.update("Preferences", head | {"SalesFormsPrefs": {"AutoApplyCredit": True}})
    company.sync()
    assert set(found(company)) == {"applies_by_itself"}
    assert mend(company, found(company)["applies_by_itself"], "accept")
    company.sync()
    assert found(company) == {}
