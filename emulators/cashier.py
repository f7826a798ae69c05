"""What happens at Stripe, through its API: customers pay, get their money back, complain. Amounts in minor units."""

from contextlib import suppress
from typing import Any

from emulators.people import Person
from emulators.stripe import controls
from emulators.stripe.emulator import StripeEmulator
from emulators.stripe.errors import StripeError

Body = dict[str, Any]
DECLINED = "pm_card_chargeDeclinedInsufficientFunds"


class Cashier:
    def __init__(self, stripe: StripeEmulator) -> None:
        self.stripe = stripe

    def post(self, path: str, **params: Any) -> Body:
        return self.stripe.request("POST", f"/v1/{path}", params)

    def get(self, path: str, **params: Any) -> Body:
        return self.stripe.request("GET", f"/v1/{path}", params)

    def control(self, name: str, **arguments: Any) -> Body:
        return controls.use(self.stripe, name, arguments)

    def customer(self, person: Person) -> str:
        return str(self.post("customers", name=person.stripe_name, email=person.stripe_email)["id"])

    def invoice(self, person: Person, number: str, amount: int, qbo_id: str, text: str) -> str:
        """A finalized invoice that names its twin in QuickBooks."""
        draft = self.post(
            "invoices",
            customer=person.stripe_id,
            currency=person.currency.lower(),
            collection_method="send_invoice",
            days_until_due=15,
            number=number,
            metadata={"qbo_invoice_id": qbo_id},
        )
        self.post("invoiceitems", customer=person.stripe_id, invoice=draft["id"], amount=amount, description=text)
        self.post(f"invoices/{draft['id']}/finalize")
        return str(draft["id"])

    def pay_invoice(self, invoice_id: str, card: str) -> str:
        """The charge."""
        self.post(f"invoices/{invoice_id}/pay", payment_method=card)
        paid_by = self.get("invoice_payments", invoice=invoice_id)["data"]
        intent = next(each["payment"]["payment_intent"] for each in paid_by if each["is_default"])
        return self.charge_of(intent)

    def fail_invoice(self, invoice_id: str) -> str:
        """A declined attempt to pay an invoice."""
        with suppress(StripeError):
            self.post(f"invoices/{invoice_id}/pay", payment_method=DECLINED)
        paid_by = self.get("invoice_payments", invoice=invoice_id)["data"]
        return self.charge_of(paid_by[0]["payment"]["payment_intent"])

    def intent(self, person: Person, amount: int, card: str = "", **rest: Any) -> str:
        """A payment without a Stripe invoice, confirmed."""
        body = self.post(
            "payment_intents",
            amount=amount,
            currency=person.currency.lower(),
            customer=person.stripe_id,
            payment_method=card or person.card,
            confirm=True,
            **rest,
        )
        return str(body["id"])

    def pay_invoices(self, person: Person, invoice_ids: list[str], amount: int) -> str:
        """One payment for several invoices, or for a part of one: the charge."""
        body = self.post("payment_intents", amount=amount, currency=person.currency.lower(), customer=person.stripe_id)
        for invoice_id in invoice_ids:
            self.post(f"invoices/{invoice_id}/attach_payment", payment_intent=body["id"])
        self.post(f"payment_intents/{body['id']}/confirm", payment_method=person.card)
        return self.charge_of(body["id"])

    def capture(self, intent_id: str, amount: int) -> None:
        self.post(f"payment_intents/{intent_id}/capture", amount_to_capture=amount)

    def charge_of(self, intent_id: str) -> str:
        return str(self.get(f"payment_intents/{intent_id}")["latest_charge"])

    def refund(self, charge_id: str, amount: int) -> str:
        return str(self.post("refunds", charge=charge_id, amount=amount, reason="requested_by_customer")["id"])

    def bill(self, amount: int, text: str) -> None:
        self.control("balance_transactions", amount=-amount, type="stripe_fee", category="fee", description=text)

    def reserve(self, amount: int) -> None:
        """Stripe holds an amount back (below zero: lets it go), on the two balances it keeps."""
        kind, category = (
            ("reserve_hold", "risk_reserved_funds") if amount > 0 else ("reserve_release", "risk_reserved_funds")
        )
        for balance_type, moved in (("payments", -amount), ("risk_reserved", amount)):
            self.control(
                "balance_transactions", amount=moved, type=kind, category=category, balance_type=balance_type,
                description="Funds held in reserve" if amount > 0 else "Reserved funds released",
            )  # fmt: skip
