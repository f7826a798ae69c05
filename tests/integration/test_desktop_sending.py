"""Customers and invoices of a company file to Stripe, by the same code as Online; Stripe's ids noted where nobody else
writes.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulators.clock import Rng
from emulators.qbd import Faults
from reconcile.postings import Policies
from storage import mirror, sending_view
from storage.engine import Database
from sync import dispatch
from sync.qbd.qwc import OWNER_ID
from tests.integration.desktop import Desktop, open_desktop
from tests.integration.test_desktop_lists import READS
from tests.integration.test_desktop_rows import check, choose, waiting

NOTES = "Pays late. Call Ann."


def noted(company: Desktop, customer: dict[str, Any]) -> list[tuple[str, str]]:
    """Stripe's ids on a customer: whose data it is, and the value."""
    found = company.file.get("Customer", customer["ListID"])
    assert found is not None
    return [(each["OwnerID"], each["DataExtValue"]) for each in found.get("DataExtRet", [])]


def stripe_invoices(company: Desktop) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = company.stripe.request("GET", "/v1/invoices", {"limit": 100})["data"]
    return found[::-1]


def test_an_invoice_goes_to_stripe_and_its_payment_comes_back(sqlite_database: Database, tmp_path: Path) -> None:
    chance = Faults(Rng("sending"))
    with open_desktop(sqlite_database, tmp_path, chance) as company:
        customer = company.file.add("Customer", {"Name": "Blue Foods", "Email": "ap@blue.example", "Notes": NOTES})
        lines = [("Design", "60.00"), ("Print", "40.00")]
        rows = [{"ItemRef": {"FullName": "Services"}, "Desc": text, "Amount": amount} for text, amount in lines]
        head = {"CustomerRef": {"ListID": customer["ListID"]}, "RefNumber": "INV-1"}
        invoice = company.file.add("Invoice", head | {"InvoiceLineAdd": rows})
        check(company)
        assert stripe_invoices(company) == [], "nothing before somebody has switched it on"
        choose(company, replace(Policies(), sending="send"))
        chance.script = [*[""] * READS, "crash_after"]  # befalls the first note of the visit
        check(company, visits=3)
        assert not chance.script

        (sent,) = stripe_invoices(company)
        assert (sent["status"], sent["number"], sent["amount_remaining"]) == ("open", "INV-1", 10_000)
        assert [(line["description"], line["amount"]) for line in sent["lines"]["data"]] == [
            ("Design", 6_000),
            ("Print", 4_000),
        ]
        assert sent["metadata"]["qbo_invoice_id"] == invoice["TxnID"]
        (there,) = company.stripe.request("GET", "/v1/customers")["data"]
        assert (there["name"], there["metadata"]["qbo_customer_id"]) == ("Blue Foods", customer["ListID"])
        assert noted(company, customer) == [("0", there["id"])]
        assert company.file.get("Customer", customer["ListID"])["Notes"] == NOTES  # type: ignore[index]
        with company.environment.database.read() as conn:
            (known,) = mirror.load_all(conn, 2, ["customer"])
        assert known.counterpart_id == there["id"]

        company.stripe.request("POST", f"/v1/invoices/{sent['id']}/pay", {"payment_method": "pm_card_visa"})
        check(company)
        (payment,) = company.ours("ReceivePayment")
        assert [each["TxnID"] for each in payment["AppliedToTxnRet"]] == [invoice["TxnID"]]
        assert len(stripe_invoices(company)) == 1
        assert waiting(company) == set()


@pytest.mark.parametrize("taken", ["all fields", pytest.param("the name", marks=pytest.mark.soak), "the value"])
def test_what_is_somebody_else_s_stays(sqlite_database: Database, tmp_path: Path, taken: str) -> None:
    """No custom field is free, or "Stripe ID" is one of vendors: data of our own. Another value in it stays."""
    with open_desktop(sqlite_database, tmp_path) as company:
        customer = company.file.add("Customer", {"Name": "Blue Foods", "Email": "ap@blue.example"})
        names = [f"Field {number}" for number in range(7)] if taken == "all fields" else ["Stripe ID"]
        assigned = "Vendor" if taken == "the name" else "Customer"
        for name in names:
            company.define_field(name, assigned)
        if taken == "the value":
            company.write_field("Stripe ID", customer["ListID"], "see folder 7")
        company.invoice(customer, 10_000, "INV-1")
        choose(company, replace(Policies(), sending="send"))
        check(company)

        (there,) = company.stripe.request("GET", "/v1/customers")["data"]
        ours = ("0", "see folder 7") if taken == "the value" else (OWNER_ID, there["id"])
        assert noted(company, customer) == [ours]
        assert len(stripe_invoices(company)) == 1, "the invoice goes all the same"


def test_a_stripe_customer_is_made_once_though_the_answer_is_lost(sqlite_database: Database, tmp_path: Path) -> None:
    chance = Faults(Rng("customers"))
    with open_desktop(sqlite_database, tmp_path, chance) as company:
        params = {"name": "Lone: Müller & Co. ☕", "email": "lone@foods.example"}
        there = company.stripe.request("POST", "/v1/customers", params)["id"]
        choose(company, replace(Policies(), sending="send"))
        check(company, visits=1)
        environment = company.environment
        (lone,) = sending_view.view(sqlite_database, 1).lone
        assert dispatch.make_customer(sqlite_database, environment.clock, company.person(), 1, lone.id)
        chance.script = [*[""] * READS, "crash_after"]
        check(company)
        (made,) = company.file.all("Customer")
        assert made["Name"] == "Lone Müller & Co. ?"
        assert noted(company, made) == [("0", there)]
        assert company.stripe.request("GET", f"/v1/customers/{there}")["metadata"]["qbo_customer_id"] == made["ListID"]
        assert sending_view.view(sqlite_database, 1).lone == ()
