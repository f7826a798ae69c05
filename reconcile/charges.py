"""Charges: payments of invoices, receipts without one (rows 1 to 5, 7 and 19)."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from reconcile import short_payments
from reconcile.billing import billed, billing, billing_problem
from reconcile.choices import Part
from reconcile.currencies import over_bridge, settle
from reconcile.days import before_cutover, day_of
from reconcile.discrepancy import name
from reconcile.draft import REFERENCE_LENGTH, Draft, common_problem, cover_by_opening, divide, memo, share, total
from reconcile.failures import plan_charge_failure, plan_failed_charge
from reconcile.fees import book_costs, book_fees
from reconcile.labelling import without_invoice
from reconcile.legs import fees_of, gross_of
from reconcile.matching import Verdict
from reconcile.money import Money, books_unit
from reconcile.outgoing import INVOICE_KEY
from reconcile.postings import POSTED, Leg, Posting
from reconcile.receipts import mapped_tax, receipt, tax_problem
from reconcile.records import Applied, Charge, Movement, ProcessorInvoice
from reconcile.snapshot import Place, Snapshot
from reconcile.taxes import tax_of

RECOVERY = (
    "A credit closed it, not a payment. If it was written off as a bad debt, this money recovers it: record it against "
    "the account it was written off to. If it was credited for another reason, the money is the customer's: record it "
    "without an invoice, or refund it."
)


def plan_charge(draft: Draft, charge_id: str, movements: list[Movement]) -> None:
    snapshot, charge = draft.snapshot, draft.snapshot.charges[charge_id]
    failures = [movement for movement in movements if movement.category == "charge_failure"]
    late = _taken_back_later(draft, charge, movements)
    _plan_taken_back(draft, charge_id, late)
    movements = [movement for movement in movements if movement not in late]
    legs = draft.undecided([movement for movement in movements if movement not in failures])
    if not movements:
        return
    if before_cutover(snapshot, movements):
        draft.places[charge_id] = Place(customer_id=None, in_books=False)
        cover_by_opening(draft, legs, charge_id)
        if failures:
            plan_charge_failure(draft, charge_id, failures)
        return
    if failures:
        plan_failed_charge(draft, charge_id, movements)
        return
    gross, fees = gross_of(legs), fees_of(legs)
    problem = _awaited(charge, movements) if gross else None
    problem = problem or common_problem(snapshot, movements, charge.currency)
    if problem:
        draft.wait(legs, charge_id, *problem)
        return
    if gross:
        _book_charge(draft, charge, movements, gross)
    if fees:
        book_fees(draft, charge_id, movements, fees)


def _taken_back_later(draft: Draft, charge: Charge, movements: Sequence[Movement]) -> list[Movement]:
    """Reversals of what was not captured, if the whole charge is recorded already: by us, or in the opening balance."""
    (first, *_), gross = movements, f"{charge.movement_id}:gross"
    is_open = gross not in draft.snapshot.decided_legs and charge.movement_id in [each.id for each in movements]
    is_whole = not is_open or before_cutover(draft.snapshot, [first])
    reversals = [each for each in movements if each.category == "partial_capture_reversal"]
    return [each for each in reversals if is_whole and not before_cutover(draft.snapshot, [each])]


def _plan_taken_back(draft: Draft, charge_id: str, reversals: Sequence[Movement]) -> None:
    """Whom the books credited with it is not known; its fee is."""
    for movement in reversals:
        legs = draft.undecided([movement])
        gross = gross_of(legs)
        if gross and not draft.is_answered(movement.id, gross):
            amount = Money(abs(total(gross)), movement.currency)
            detail = (
                f"Stripe took {amount} of {charge_id} back, which was never captured, after the charge was recorded in "
                f"full. Take it out of the clearing account by hand, with {movement.id} in the memo."
            )
            draft.wait(gross, movement.id, "taken_back_later", detail)
        book_costs(draft, movement.id, [movement], fees_of(legs))


def _awaited(charge: Charge, movements: Sequence[Movement]) -> tuple[str, str] | None:
    if charge.captured_minor < charge.amount_minor and len(movements) == 1 and movements[0].id == charge.movement_id:
        open_part = Money(charge.amount_minor - charge.captured_minor, charge.currency)
        return "awaiting_reversal", f"{open_part} of this charge was not captured; Stripe's entry for that is awaited."
    return None


def _book_charge(draft: Draft, charge: Charge, movements: Sequence[Movement], gross: list[Leg]) -> None:
    verdict = draft.matches.verdict(charge.id)
    without = draft.snapshot.decision(charge.id, "record_without_invoice")
    if verdict.decision != "auto" and not without and (closed := _closed_otherwise(draft.snapshot, charge)):
        draft.wait(gross, charge.id, "written_off", f"{closed}, which this charge paid, has nothing open. {RECOVERY}")
    elif draft.is_answered(charge.id, gross):
        draft.place_recorded(charge.id)
    elif verdict.decision == "auto":
        _pay_invoices(draft, charge, movements, gross, verdict)
    elif without:
        _book_without_invoice(draft, charge, movements, gross, verdict)
    elif (invoice := billed(draft, charge)) is not None and verdict.code in ("", "UNMATCHED_STRIPE"):
        _bill(draft, charge, movements, gross, invoice, verdict)
    elif verdict.code not in ("", "UNMATCHED_STRIPE"):
        draft.wait(gross, charge.id, verdict.code, verdict.text)
    else:
        _book_without_invoice(draft, charge, movements, gross, verdict)


def _closed_otherwise(snapshot: Snapshot, charge: Charge) -> str | None:
    """The invoice that a charge, or its Stripe invoice, names, if a credit closed it (row 27)."""
    names = {charge.id, charge.payment_intent_id} - {None}
    known = snapshot.processor_invoices
    paid = [each.invoice_id for each in snapshot.invoice_payments if {each.charge_id, each.payment_intent_id} & names]
    about = [charge.metadata, *(known[each].metadata for each in paid if each in known)]
    for each in sorted({f"invoice:{found[INVOICE_KEY]}" for found in about if INVOICE_KEY in found}):
        if each in snapshot.closed_otherwise:
            return name("invoice", snapshot.documents[each].doc_number, each.partition(":")[2])
    return None


def _pay_invoices(
    draft: Draft, charge: Charge, movements: Sequence[Movement], gross: list[Leg], verdict: Verdict
) -> None:
    """One payment a customer; what the invoices cannot take stays with the (only) customer as credit."""
    busy = [part.ledger_id for part in verdict.allocations if part.ledger_id in draft.snapshot.busy]
    if busy:
        number = draft.snapshot.documents[busy[0]].doc_number or busy[0]
        detail = f"Another payment of invoice {number} is not settled yet; this one is decided after it."
        draft.wait(gross, charge.id, "in_progress", detail)
        return
    snapshot, settled = draft.snapshot, total(gross)
    short = short_payments.explained(snapshot, charge.id)
    if short and short.ledger_id not in {part.ledger_id for part in verdict.allocations}:
        short = None  # it was found to be something else since
    if short and (problem := short_payments.problem(draft, short)):
        draft.wait(gross, charge.id, *problem)
        return
    paid = settled if charge.currency == movements[0].currency else charge.captured_minor
    by_customer: dict[str, list[Applied]] = defaultdict(list)
    for allocation in verdict.allocations:
        document = snapshot.documents[allocation.ledger_id]
        free = document.open_minor - draft.taken[document.id]
        amount = max(0, min(allocation.amount_minor, free))
        by_customer[document.customer_id or ""].append(Applied(id=document.id, amount_minor=amount))
    applied = sum(line.amount_minor for lines in by_customer.values() for line in lines)
    if "" in by_customer or (len(by_customer) > 1 and applied != paid):
        detail = "It pays invoices of several customers, but they do not take the whole amount. Split it by hand."
        draft.wait(gross, charge.id, "SPLIT_AMBIGUOUS", detail)
        return
    customers = sorted(by_customer.items())
    amounts = [paid if len(customers) == 1 else sum(line.amount_minor for line in lines) for _, lines in customers]
    parts, postings = divide(settled, amounts, books_unit(movements[0].currency)), []
    for step, (customer_id, lines) in enumerate(customers, start=1):
        kept = tuple(line for line in lines if line.amount_minor)
        for line in kept:
            draft.taken[line.id] += line.amount_minor
        amount, part = amounts[step - 1], parts[step - 1]
        postings.append(_payment(snapshot, charge, movements, customer_id, amount, part, kept, step))
    closing = _close_short(draft, charge, movements, postings, short) if short else []
    booked = [
        pair
        for posting, part in zip(postings, parts, strict=True)
        for pair in over_bridge(snapshot, posting, movements, part)
    ]
    booked += [(posting, 0) for posting in closing]
    draft.post(share(booked, gross), gross, charge.id)
    tax = tax_of(snapshot.documents[line.ledger_id] for line in verdict.allocations)
    draft.places[charge.id] = Place(
        customer_id=customers[0][0] if len(customers) == 1 else None,
        marker=postings[0].marker,
        unapplied_minor=paid - applied,
        credit_of=(postings[0].marker,),
        is_payment=True,
        tax=tax,
    )


def _close_short(
    draft: Draft, charge: Charge, movements: Sequence[Movement], postings: list[Posting], short: Part
) -> list[Posting]:
    """What closes the invoice that the payment is short of: more documents, or a part of its payment (in Desktop)."""
    draft.taken[short.ledger_id] += short.short_minor
    at = next(n for n, each in enumerate(postings) if short.ledger_id in {line.id for line in each.applied})
    if not draft.snapshot.on_desktop:
        return short_payments.closing(draft.snapshot, charge, movements, postings[at], short)
    postings[at] = short_payments.with_discount(draft.snapshot, postings[at], short)
    return []


def _customer(snapshot: Snapshot, charge: Charge, verdict: Verdict) -> str | None:
    """Who in the books certainly paid it: the counterpart in its currency, else whom documents and addresses tell."""
    linked = snapshot.counterparts.get((charge.customer_id or "", charge.currency))
    return linked or (verdict.customer_id if charge.currency == snapshot.home_currency else None)


def _bill(
    draft: Draft,
    charge: Charge,
    movements: Sequence[Movement],
    gross: list[Leg],
    invoice: ProcessorInvoice,
    verdict: Verdict,
) -> None:
    """Row 6: the invoice Stripe wrote, then the payment that pays it."""
    snapshot, settled = draft.snapshot, total(gross)
    customer_id = _customer(snapshot, charge, verdict)
    problem = billing_problem(snapshot, charge, invoice)
    if problem is None and customer_id is None:
        who = charge.customer_name or charge.customer_email or "its customer"
        detail = f"Stripe invoice {invoice.number or invoice.id}: QuickBooks has no customer that is certainly {who}."
        problem = "unknown_customer", f"{detail} Choose the customer."
    if problem or customer_id is None:
        draft.wait(gross, charge.id, *(problem or ("unknown_customer", "")))
        return
    written, tax = billing(snapshot, charge, movements, invoice, customer_id)
    applied = (Applied(id=f"{POSTED}{written.marker}", amount_minor=written.amount_minor),)
    payment = _payment(snapshot, charge, movements, customer_id, written.amount_minor, settled, applied, 1)
    payment = replace(payment, after=written.marker)
    booked = [(written, 0), *over_bridge(snapshot, payment, movements, settled)]
    draft.post(share(booked, gross), gross, charge.id)
    draft.places[charge.id] = Place(customer_id=customer_id, marker=payment.marker, tax=tax, is_payment=True)


def _book_without_invoice(
    draft: Draft, charge: Charge, movements: Sequence[Movement], gross: list[Leg], verdict: Verdict
) -> None:
    """Row 5, as a person said or by policy; a customer must be known."""
    snapshot = draft.snapshot
    said = snapshot.decision(charge.id, "record_without_invoice")
    policy = said.how if said else without_invoice(snapshot, charge)
    customer_id = said.customer_id if said else _customer(snapshot, charge, verdict)
    settled = total(gross)
    amount = settled if charge.currency == movements[0].currency else charge.captured_minor
    if policy == "wait":
        text = verdict.text or "No invoice in QuickBooks is named, and none fits. Choose one, or record it without."
        draft.wait(gross, charge.id, "no_invoice", text)
    elif customer_id is None:
        who = charge.customer_name or charge.customer_email or "its customer"
        detail = f"No invoice fits, and QuickBooks has no customer that is certainly {who}. Choose the customer."
        draft.wait(gross, charge.id, "unknown_customer", detail)
    elif policy == "unapplied_payment":
        posting = _payment(snapshot, charge, movements, customer_id, amount, settled, (), 1)
        draft.post(share(over_bridge(snapshot, posting, movements, settled), gross), gross, charge.id)
        draft.places[charge.id] = Place(
            customer_id=customer_id,
            marker=posting.marker,
            unapplied_minor=amount,
            credit_of=(posting.marker,),
            is_payment=True,
        )
    elif untaxed := tax_problem(snapshot, "sales_receipt"):
        draft.wait(gross, charge.id, *untaxed)
    elif snapshot.mappings.sales_item is None:
        draft.wait(gross, charge.id, "unmapped_item", "No item is chosen for sales without an invoice. Choose one.")
    else:
        currency = charge.currency
        posting = receipt(
            snapshot, "sales_receipt", charge.id, movements, amount, customer_id, currency=currency, settled=settled
        )
        draft.post(share(over_bridge(snapshot, posting, movements, settled), gross), gross, charge.id)
        tax = mapped_tax(snapshot, "sales_receipt")
        draft.places[charge.id] = Place(customer_id=customer_id, marker=posting.marker, tax=tax)


def _payment(
    snapshot: Snapshot,
    charge: Charge,
    movements: Sequence[Movement],
    customer_id: str,
    amount: int,
    settled: int,
    applied: tuple[Applied, ...],
    step: int,
) -> Posting:
    """`amount` in the currency of the charge, which came to `settled` on the clearing account."""
    place = settle(snapshot, movements, charge.currency, amount, settled)
    return Posting(
        marker=f"{movements[0].id}:charge:r1:s{step}",
        kind="payment",
        dated=day_of(snapshot, movements),
        currency=charge.currency,
        amount_minor=amount,
        account_id=place.account_id,
        memo=memo(charge.id, movements),
        reference=charge.id[-REFERENCE_LENGTH:],
        party_id=customer_id,
        exchange_rate=place.exchange_rate,
        applied=applied,
    )
