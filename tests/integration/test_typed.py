"""Stripe's fees that somebody types into QuickBooks by hand: asked about before they are posted, found after."""

from storage import search
from sync import commands
from tests.integration.conftest import Company, link
from tests.integration.test_decisions import accept, act, check_laws, waits
from tests.integration.test_findings import found, mend
from tests.integration.test_rows import sync_and_check


def typed_expense(company: Company, *amounts: float, account: str = "") -> str:
    """An expense for Stripe's fees on the clearing account, with no word about which."""
    mappings = link(company).mappings
    lines = [
        {
            "Amount": amount,
            "DetailType": "AccountBasedExpenseLineDetail",
            "AccountBasedExpenseLineDetail": {"AccountRef": {"value": mappings.fees["stripe_fee"]}},
        }
        for amount in amounts
    ]
    body = {
        "PaymentType": "Cash",
        "AccountRef": {"value": account or mappings.clearing["USD"]},
        "TxnDate": company.clock.now().date().isoformat(),
        "Line": lines,
    }
    return str(company.qbo.create("Purchase", body)["Id"])


def pay(company: Company, *numbers: int) -> None:
    """Charges that pay invoices."""
    for number in numbers:
        stripe_customer, customer = company.customer(f"Customer {number}", f"{number}@foods.example")
        company.invoice(customer, 10_000, f"INV-{number}")
        company.pay(stripe_customer, 10_000, f"Invoice INV-{number}")
    company.pass_time(minutes=1)


def test_a_typed_fee_is_asked_about_taken_given_back_and_kept_apart(company: Company) -> None:
    company.sync()  # the accounts are there
    pay(company, 1)
    typed = typed_expense(company, 3.20)
    company.sync()
    detail = waits(company, "MAY_BE_RECORDED")
    assert detail.item.source_id.startswith("fees:txn_")
    assert [part[1] for part in detail.candidates[0].parts] == [f"purchase:{typed}"]
    assert len(company.ours("Payment")) == 1, "the payment itself is not held up"

    decision = accept(company, detail)
    sync_and_check(company)
    assert company.ours("Purchase") == []
    assert search.facets(company.environment.database, link(company).id) == []

    assert act(company, commands.undo, decision)
    company.sync()
    detail = waits(company, "MAY_BE_RECORDED")
    match_id = detail.candidates[0].match_id
    act(company, commands.reject_match, link(company).id, detail.item.source_id, match_id, detail.version)
    company.sync()
    assert [fee["TotalAmt"] for fee in company.ours("Purchase")] == [3.20]
    assert found(company) == {}, "somebody has said that it is another one"


def test_fees_typed_in_after_they_were_posted_are_shown(company: Company) -> None:
    pay(company, 1, 2)
    company.sync()
    assert [fee["TotalAmt"] for fee in company.ours("Purchase")] == [3.20, 3.20]
    both = typed_expense(company, 6.40)
    company.sync()
    finding = found(company)["recorded_twice"]
    assert finding.document_id == f"purchase:{both}"
    assert "the fees of" in finding.text
    assert mend(company, finding, "dismiss")
    alone = typed_expense(company, 3.20)
    typed_expense(company, 3.20, account=company.qbo.account("Savings")["Id"])
    company.sync()
    assert found(company)["recorded_twice"].document_id == f"purchase:{alone}"
    check_laws(company)
