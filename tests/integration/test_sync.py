"""The whole way through: from Stripe into the books and back, over both wire formats."""

from tests.integration.conftest import Company


def test_one_charge_end_to_end(company: Company) -> None:
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(minutes=1)

    counts = company.sync()

    (payment,) = company.ours("Payment")
    assert payment["TotalAmt"] == 100
    assert payment["Line"][0]["LinkedTxn"] == [{"TxnId": invoice["Id"], "TxnType": "Invoice"}]
    (fee,) = company.ours("Purchase")
    assert fee["TotalAmt"] == 3.2
    assert company.qbo.read("Invoice", invoice["Id"])["Balance"] == 0
    assert sum(company.qbo.trial_balance().values()) == 0
    assert counts["posted"] == 2
    assert company.sync().get("posted", 0) == 0
