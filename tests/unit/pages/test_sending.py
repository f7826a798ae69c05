"""To Stripe: names that differ on both sides, and customers who pay in a second currency."""

from dataclasses import replace

from sqlalchemy import select

from reconcile.counterparts import Pair
from reconcile.records import Charge, Customer
from storage import contacts, counterparts, mirror
from storage.engine import Database
from storage.models import legs
from tests.unit.pages.test_pages import NOW, context, draw, own_main, press, said

__all__ = ["own_main"]  # a fixture


def test_what_differs_and_who_pays_in_another_currency_is_shown_and_decided(demo: Database) -> None:
    here = Customer(id="58", name="Blue Foods Ltd", email="ap@blue.example", currency="USD")
    there = Customer(id="cus_58", name="Blue <Foods>", email="ap@blue.example")
    pair = Pair(customer_id="58", processor_customer_id="cus_58", currency="USD", how="person")
    with demo.write() as conn:
        waiting = select(legs.c.source_id).where(legs.c.reason == "no_invoice", legs.c.kind == "gross")
        charge: Charge
        (charge,) = mirror.load(conn, 1, "charge", [conn.execute(waiting).scalars().all()[0]]).values()
        paid = replace(charge, customer_id="cus_58", currency="EUR")
        mirror.store(conn, 2, [("customer", "58", here, "{}")], at=NOW, actor="test")
        news = [("customer", "cus_58", there, "{}"), ("charge", charge.id, paid, "{}")]
        mirror.store(conn, 1, news, at=NOW, actor="test")
        assert counterparts.join(conn, 1, pair, actor="test", at=NOW)
        contacts.record(conn, 1, {"58": ({"name": ["Blue", "Blue"]}, "Its name was changed on both sides.")})
    shown = draw("sending", context(demo, role="viewer"))
    assert "name: Blue Foods Ltd in QuickBooks, Blue &lt;Foods&gt; in Stripe" in said(shown)
    assert "ap@blue.example paid in EUR, and is in QuickBooks in another currency only" in said(shown)
    offered = {button.label for button in shown.button if button.disabled}
    assert {"Leave", "Make in QuickBooks, in EUR"} <= offered, "a viewer may do nothing of it"

    shown = draw("sending", context(demo, role="accountant"))
    press(shown, "Make in QuickBooks, in EUR")
    assert "Switch it on first" in shown.toast[0].value
    press(draw("sending", context(demo, role="accountant")), "Leave")
    assert "in Stripe. Change it" not in said(draw("sending", context(demo)))
