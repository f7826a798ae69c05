"""Credit notes in a world: how invoices come to be lowered at Stripe, before they are paid, after, or not after all."""

from datetime import datetime
from functools import partial

from emulators.stories import DAY, HOUR, Invoice, Stories

# What becomes of an invoice, one kind after the other.
KINDS = ("lowered", "whole", "voided", "refunded", "outside", "balance", "euros")
LASTS = 6 * DAY


def plan_notes(stories: Stories, number: int, first: datetime, last: datetime) -> None:
    """As many invoices with credit notes, spread over a period."""
    for place in range(number):
        begin = first + (last - LASTS - first) * place / max(1, number)
        stories.agenda.at(begin, partial(_begin, stories, KINDS[place % len(KINDS)]))


def _begin(stories: Stories, kind: str) -> None:
    """The invoice today, the note soon after; what is left is paid at last."""
    person = stories.payer("EUR" if kind == "euros" else "USD")
    invoice = stories.bill(person, stories.unique_amount(), stripe=True)
    now, part = stories.cashier.stripe.office.clock.now(), invoice.amount // stories.rng.between(2, 5)
    if kind in ("refunded", "outside", "balance"):
        stories.agenda.at(now + DAY, lambda: _pay(stories, invoice, invoice.amount))
        # What goes to the customer's balance joins their next invoice: nothing comes after it.
        then = stories.period.clamp(stories.period.until if kind == "balance" else now + 4 * DAY)
        how = {"refunded": "refund_amount", "outside": "out_of_band_amount", "balance": "credit_amount"}[kind]
        stories.agenda.at(then, lambda: _credit(stories, invoice, part, **{how: part}))
        return
    part = invoice.amount if kind == "whole" else part
    stories.agenda.at(now + DAY, lambda: _credit(stories, invoice, part))
    if kind == "voided":
        stories.agenda.at(now + DAY + HOUR, lambda: _void(stories, invoice))
    if kind != "whole":
        rest = invoice.amount if kind == "voided" else invoice.amount - part
        stories.agenda.at(now + 3 * DAY, lambda: _pay(stories, invoice, rest))


def _credit(stories: Stories, invoice: Invoice, amount: int, **more: int) -> None:
    stories.cashier.post("credit_notes", invoice=invoice.stripe_id, amount=amount, **more)


def _void(stories: Stories, invoice: Invoice) -> None:
    (note,) = stories.cashier.get("credit_notes", invoice=invoice.stripe_id)["data"]
    stories.cashier.post(f"credit_notes/{note['id']}/void")


def _pay(stories: Stories, invoice: Invoice, amount: int) -> None:
    person = next(each for each in stories.people if each.stripe_id == _payer(stories, invoice))
    charge_id = stories.cashier.pay_invoice(invoice.stripe_id, person.card)
    stories.record(charge_id, "credited", person, amount, invoice.paid(amount))


def _payer(stories: Stories, invoice: Invoice) -> str:
    return str(stories.cashier.get(f"invoices/{invoice.stripe_id}")["customer"])
