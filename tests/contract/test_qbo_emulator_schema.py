"""The contract derived from Intuit's XSDs: it takes a real object, and it catches planted errors."""

import pytest

from emulators.qbo.fields import ENTITIES, SHAPES
from tests.contract.qbo_company import bank, customer, link, new_company, pay, sale
from tests.contract.qbo_schema import complaints, contract

pytestmark = pytest.mark.specs


def test_every_property_that_the_stand_in_knows_is_one_of_intuits() -> None:
    assert {entity: set(SHAPES[entity]) - set(contract(entity)) for entity in ENTITIES} == {
        name: set() for name in ENTITIES
    }


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"Lines": []}, "Payment.Lines: unknown"),
        ({"DepositToAccountRef": {"id": "1"}}, "Payment.DepositToAccountRef.id: unknown"),
        ({"DepositToAccountRef": "35"}, "Payment.DepositToAccountRef: an object is expected, not '35'"),
        ({"PaymentType": "Foo"}, "Payment.PaymentType: 'Foo' is not one of PaymentTypeEnum"),
        ({"TotalAmt": "10.50"}, "Payment.TotalAmt: '10.50' is not of type decimal"),
        ({"TotalAmt": 0.1 + 0.2}, "Payment.TotalAmt: 0.30000000000000004 is not of type decimal"),
        ({"ProcessPayment": "false"}, "Payment.ProcessPayment: 'false' is not of type boolean"),
        ({"TxnDate": "2026-11-20T00:00:00Z"}, "Payment.TxnDate: '2026-11-20T00:00:00Z' is not of type date"),
        ({"Line": {"Amount": 1}}, "Payment.Line: a list is expected"),
        (
            {"Line": [{"Amount": 1, "LinkedTxn": [{"TxnNumber": "1"}]}]},
            "Payment.Line[0].LinkedTxn[0].TxnNumber: unknown",
        ),
        ({"Id": 12}, "Payment.Id: 12 is not of type id"),
    ],
)
def test_planted_errors_are_caught(change: dict[str, object], complaint: str) -> None:
    books = new_company()
    payer = customer(books)
    payment = pay(books, payer, 100, link(80, sale(books, "Invoice", payer, 80)), into=bank(books))
    assert complaints("Payment", payment) == []
    assert complaint in complaints("Payment", payment | change)


def test_what_a_read_always_has_is_missed() -> None:
    body = customer(new_company())
    del body["MetaData"]
    assert complaints("Customer", body) == ["Customer.MetaData: missing"]
