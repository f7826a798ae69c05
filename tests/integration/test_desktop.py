"""The whole way through QuickBooks Desktop: Stripe, our SOAP service, the Web Connector, the company file, and back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.clock import Rng
from emulators.qbd import Faults
from emulators.qbd.faults import FAULTS
from storage import audit, fold, mirror
from storage.engine import Database
from tests.integration.desktop import Desktop, open_desktop

QUICK = ("crash_after",)  # the others are for `make soak`; tests/simulation runs them all, without a network
ENDS = ("huge", "no_close")  # nothing is left open by them


@pytest.fixture
def company(database: Database, tmp_path: Path) -> Iterator[Desktop]:
    with open_desktop(database, tmp_path) as opened:
        yield opened


def test_one_charge_end_to_end(company: Desktop) -> None:
    stripe_customer, customer = company.customer()
    invoice = company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 10_000, "Invoice INV-1")
    company.pass_time(days=7)  # the payout is made and arrives

    run = company.visit()

    assert (run.outcome, run.progress[-1]) == ("done", 100), run.why
    (payment,) = company.ours("ReceivePayment")
    assert payment["TotalAmount"] == "100.00"
    assert payment["AppliedToTxnRet"][0]["TxnID"] == invoice["TxnID"]
    assert payment["ExternalGUID"].startswith("{")
    (fee,) = company.ours("Check")
    assert fee["Amount"] == "3.20"
    (payout,) = company.ours("Transfer")
    assert payout["Amount"] == "96.80"
    assert company.file.get("Invoice", invoice["TxnID"])["BalanceRemaining"] == "0.00"  # type: ignore[index]
    assert sum(company.file.trial_balance().values()) == 0
    assert company.visit().outcome == "done"
    assert len(company.markers()) == 3
    check(company)


def test_a_transfer_is_read_in_the_currency_of_its_accounts(company: Desktop) -> None:
    """It names none itself; QuickBooks Desktop writes yen with two decimals."""
    file = company.file
    yen = {"AccountType": "Bank", "CurrencyRef": {"FullName": "Japanese Yen"}}
    ids = {name: file.add("Account", {"Name": name, **yen})["ListID"] for name in ("Yen clearing", "Yen account")}
    made = {}
    for source, sink, amount in (("Yen clearing", "Yen account", "9640.00"), ("Stripe Clearing", "Checking", "96.80")):
        sides = {"TransferFromAccountRef": {"FullName": source}, "TransferToAccountRef": {"FullName": sink}}
        made[source] = file.add("Transfer", sides | {"Amount": amount})["TxnID"]

    run = company.visit()

    assert run.outcome == "done", run.why
    with company.environment.database.read() as conn:
        found = {each.ledger_id: each for each in mirror.load_all(conn, 2, ["transfer"])}
    in_yen, in_dollars = found[made["Yen clearing"]], found[made["Stripe Clearing"]]
    assert (in_yen.currency, in_yen.amount_minor) == ("JPY", 9_640)
    assert [(leg.account_id, leg.amount_minor) for leg in in_yen.legs] == [
        (ids["Yen clearing"], -9_640),
        (ids["Yen account"], 9_640),
    ]
    assert (in_dollars.currency, in_dollars.amount_minor) == ("USD", 9_680)


@pytest.mark.parametrize(
    "fault",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.soak) for name in FAULTS if name not in ENDS],
)
def test_a_fault_at_any_request_neither_loses_nor_doubles(
    sqlite_database: Database, tmp_path: Path, fault: str
) -> None:
    """The same fault at every third request of the first visits; then it heals."""
    faults = Faults(Rng(fault), script=["", "", fault] * 12)
    with open_desktop(sqlite_database, tmp_path, faults) as company:
        stripe_customer, customer = company.customer()
        for number in range(1, 4):
            company.invoice(customer, 1_000 * number, f"INV-{number}")
            company.pay(stripe_customer, 1_000 * number, f"Invoice INV-{number}")
        company.pass_time(minutes=5)
        company.settle(14)
        faults.heal()
        company.settle(4)
        assert len(company.ours("ReceivePayment")) == 3
        assert len(company.ours("Check")) == 3
        check(company)


def check(company: Desktop) -> None:
    with company.environment.database.read() as conn:
        assert audit.verify(conn) == []
        assert fold.verify(conn) == []
    markers = company.markers()
    assert len(markers) == len(set(markers))
