"""What is to be done at Stripe next for an invoice of the books, or why it waits. Pure: everything known goes in.

    create_invoice -> add_lines -> (look) -> (report_payment) -> finalize -> (attach_payment) -> send
    credited in the books, or lowered there after a part was paid:  (look) -> give_credit
    changed or voided in the books:  delete_draft | (look) -> void, then from the start if it is still owed

A `look` reads the Stripe invoice and its customer again: nothing that matters is decided on what the mirror remembers.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from reconcile.counterparts import CUSTOMER_KEY
from reconcile.money import to_decimal
from reconcile.outgoing import DIGEST_KEY, REVISION_KEY, InvoiceContent, digest_of, number_of, trouble
from reconcile.postings import Sending
from reconcile.records import Customer, Document, ProcessorInvoice

Action = Literal[
    "create_customer",
    "adopt",
    "create_invoice",
    "add_lines",
    "look",
    "finalize",
    "report_payment",
    "attach_payment",
    "give_credit",
    "send",
    "delete_draft",
    "void",
]
Stage = Literal["none", "created", "lined", "finalized", "mailed", "withdrawn"]
Standing = Literal["elsewhere", "pending", "stripe", "credit", "lowered", "unknown"]
REPORTED = ("elsewhere", "credit")  # what Stripe is told of, so that it asks for no more than is open in the books


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidPart:
    """A document that lowers what is open on an invoice.

    `standing`: money that certainly did not come through Stripe, may have (as far as matching knows today), did, a
    credit that somebody gave in the books, what the invoice itself was lowered by, or something else. `record_id`:
    Stripe's record of it, once reported. `is_credit`: no money is in it, whoever gave it.
    """

    document_id: str
    amount_minor: int
    dated: date
    standing: Standing
    record_id: str | None = None
    attached: bool = False
    is_credit: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How far an invoice has come. `digest` is of what was sent; `spent` counts the numbers Stripe keeps as voided.

    `payer_id` is the Stripe customer it was made for.
    """

    stage: Stage = "none"
    processor_invoice_id: str | None = None
    payer_id: str | None = None
    revision: int = 1
    spent: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One invoice of the books, and all that is known about it.

    `is_owed_there`: it is neither voided nor deleted in the books. `payer` is its customer's counterpart at Stripe;
    `candidates` are who that may be. `twin` is a Stripe invoice of it that somebody else made. `is_fresh`: `there` and
    `payer` were read just now. `is_disputed`: a Stripe payment that is not in the books yet may pay it.
    `is_report_stale`: what was reported to Stripe as paid elsewhere is not in the books so any more. `lowered_minor` is
    what our credit notes have taken off because the invoice was lowered.
    """

    invoice: Document
    content: InvoiceContent
    sent: Sent
    mode: Sending
    today: date
    cutover: date
    is_owed: bool = True
    customer: Customer | None = None
    payer: Customer | None = None
    candidates: tuple[str, ...] = ()
    there: ProcessorInvoice | None = None
    twin: ProcessorInvoice | None = None
    number_is_taken: bool = False
    is_fresh: bool = False
    is_disputed: bool = False
    is_report_stale: bool = False
    lowered_minor: int = 0
    paid: tuple[PaidPart, ...] = ()

    @property
    def name(self) -> str:
        return f"Invoice {self.invoice.doc_number or self.invoice.ledger_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """`do` an action, `wait` for a person (or for time), or `rest`: nothing is left to do for now."""

    kind: Literal["do", "wait", "rest"]
    reason: str  # the action, or a word of the vocabulary in docs/ACCOUNTING.md
    detail: str
    part: PaidPart | None = None


def decide(case: Case) -> Decision:
    """The next step of one invoice."""
    if case.sent.processor_invoice_id is None:
        return _begin(case)
    if case.there is None:
        return _gone(case)
    if not case.is_owed:
        return _withdraw(case, case.there)
    if case.is_report_stale:
        text = f"A payment or credit of {case.name} that was reported to Stripe was changed or deleted in QuickBooks. "
        return _wait("report_stale", f"{text}Stripe cannot take it back: restore it, or make a new invoice.")
    match case.there.status:
        case "draft":
            return _follow_draft(case, case.there)
        case "open":
            return _follow_open(case, case.there)
        case "paid":
            return _follow_paid(case, case.there)
    return _gone(case)


def _gone(case: Case) -> Decision:
    """Somebody ended it at Stripe."""
    if case.there is not None and case.there.status == "uncollectible":
        text = f"{case.name} was written off at Stripe. Write it off in QuickBooks too, or collect it otherwise."
        return _wait("written_off_at_stripe", text)
    how = "deleted" if case.there is None else "voided"
    text = f"The Stripe invoice of {case.name} was {how} at Stripe. Send it again, or void it in QuickBooks too."
    return _wait("gone_at_stripe", text)


def adopted(twin: ProcessorInvoice) -> Sent:
    """How far a Stripe invoice of ours has come that we do not remember: of a database from before it was made."""
    revision, _, spent = twin.metadata.get(REVISION_KEY, "1 0").partition(" ")
    stage: Stage = "finalized"
    if twin.status == "draft":
        stage = "lined" if twin.total_minor else "created"
    return Sent(
        stage=stage,
        processor_invoice_id=twin.id,
        payer_id=twin.customer_id,
        revision=int(revision),
        spent=int(spent or 0),
        digest=twin.metadata[DIGEST_KEY],
    )


# ---- before there is one at Stripe


def _begin(case: Case) -> Decision:
    invoice = case.invoice
    if not case.is_owed or invoice.open_minor <= 0:
        return _rest("nothing_owed", f"Nothing is open on {case.name}.")
    if invoice.dated < case.cutover:
        return _rest("before_cutover", f"{case.name} is from before the cut-over.")
    if case.twin is not None and DIGEST_KEY in case.twin.metadata:
        return _do("adopt", f"{case.name} is at Stripe already: Tieout made it.")
    if case.twin is not None:
        return _rest("already_there", f"{case.name} is at Stripe already, made by somebody else.")
    return _unready(case) or _do(
        "create_customer" if case.payer is None else "create_invoice", f"{case.name} is made at Stripe."
    )


def _unready(case: Case) -> Decision | None:
    """Why it cannot be made at Stripe yet."""
    found = trouble(case.invoice, case.content, case.today)
    if found is not None:
        return _wait(*found)
    if case.is_disputed or any(part.standing == "pending" for part in case.paid):
        return _disputed(case)
    unpaid = _unreportable(case)
    if unpaid is not None:
        return unpaid
    if case.number_is_taken:
        text = f"Stripe has an invoice with the number of {case.name} already. Give it another number in QuickBooks."
        return _wait("number_taken", text)
    return _customer_unready(case)


def _customer_unready(case: Case) -> Decision | None:
    customer = case.customer
    if customer is None or not customer.active:
        return _wait("customer_inactive", f"The customer of {case.name} is inactive. Make it active in QuickBooks.")
    if case.payer is None and case.candidates:
        text = f"{customer.name} may be a customer at Stripe already: decide under “Customers”."
        return _wait("customer_doubtful", text)
    if case.mode == "send" and not (case.payer or customer).email:
        where = "QuickBooks" if case.payer is None else "Stripe, where that customer has none"
        text = f"{customer.name} has no e-mail address to send {case.name} to. Add it in {where}."
        return _wait("no_email", text)
    return _balance(case)


def _balance(case: Case) -> Decision | None:
    """A balance of the Stripe customer would silently join the invoice."""
    balances = case.payer.balances if case.payer else {}
    owed = balances.get(case.invoice.currency) or balances.get("", 0)  # "": in a currency that Stripe does not name
    if not owed:
        return None
    shown = _shown(abs(owed), case.invoice.currency)
    side = "owes" if owed > 0 else "has a credit of"
    text = f"At Stripe the customer of {case.name} {side} {shown}, which Stripe would add to or take off the invoice. "
    return _wait("customer_balance", f"{text}Settle that balance at Stripe first.")


def _disputed(case: Case) -> Decision:
    text = f"A Stripe payment may pay {case.name} already and is not in QuickBooks yet. Decide it in Review first."
    return _wait("payment_under_way", text)


def _unreportable(case: Case) -> Decision | None:
    """Of a part-paid invoice: what was paid must be known, to the last minor unit, not to have come through Stripe."""
    lowered = case.invoice.amount_minor - case.invoice.open_minor
    known = sum(part.amount_minor for part in case.paid if part.standing == "elsewhere")
    if lowered == known:
        return None
    shown = _shown(lowered - known, case.invoice.currency)
    text = f"{shown} of {case.name} was paid or credited in a way that cannot be reported to Stripe. "
    return _wait("part_paid", f"{text}Collect the rest otherwise, or change the Stripe invoice there by hand.")


# ---- a draft


def _follow_draft(case: Case, there: ProcessorInvoice) -> Decision:
    invoice, sent = case.invoice, case.sent
    if invoice.open_minor <= 0 or _is_changed(case):
        return _do("delete_draft", f"The draft of {case.name} is deleted: the invoice was changed in QuickBooks.")
    if sent.stage == "created":
        return _do("add_lines", f"The lines of {case.name} are added to its draft.")
    if there.total_minor != invoice.amount_minor or there.currency != invoice.currency:
        text = f"Stripe makes the total of {case.name} {_shown(there.total_minor, there.currency)} instead of "
        return _wait("total_differs", f"{text}{_shown(invoice.amount_minor, invoice.currency)}. Look at the draft.")
    if case.mode in ("off", "draft"):
        return _rest("drafted", f"{case.name} is a draft at Stripe. Finalize it there, or change the policy.")
    if not case.is_fresh:
        return _do("look", f"The draft of {case.name} is checked.")
    return _unready(case) or _unequal(case, there) or _report(case) or _finalize(case)


def _report(case: Case) -> Decision | None:
    """Stripe must know of what was paid elsewhere before it can collect anything; it is taken off right after."""
    unknown = [part for part in case.paid if part.standing == "elsewhere" and part.record_id is None]
    return _reporting(case, unknown[0]) if unknown else None


def _finalize(case: Case) -> Decision:
    return _do("finalize", f"{case.name} is finalized at Stripe.")


def _unequal(case: Case, there: ProcessorInvoice) -> Decision | None:
    """What Stripe would collect must be what is open in the books, once what was paid elsewhere is reported."""
    if there.has_automatic_tax:
        text = f"Stripe would compute tax on {case.name} again. Switch automatic tax off for its draft."
        return _wait("automatic_tax", text)
    reported = sum(part.amount_minor for part in case.paid if part.standing == "elsewhere")
    collected = there.due_minor - reported
    if collected == case.invoice.open_minor and there.starting_minor == 0:
        return None
    currency = case.invoice.currency
    text = f"Stripe would collect {_shown(collected, currency)} for {case.name}, but "
    return _wait("due_differs", f"{text}{_shown(case.invoice.open_minor, currency)} is open. Look at the draft.")


# ---- finalized


def _follow_open(case: Case, there: ProcessorInvoice) -> Decision:
    if _is_changed(case) and not _is_credited(case, there):
        return _replace(case, there)
    if there.starting_minor:
        return _joined(case, there)
    over = there.remaining_minor - case.invoice.open_minor
    if over > 0:
        return _lower(case, there, over)
    if over < 0:
        return _ahead(case, there)
    if case.mode == "send" and case.sent.stage == "finalized":
        return _do("send", f"Stripe sends {case.name} by e-mail.")
    return _rest("open", f"{case.name} is open at Stripe.")


def _ahead(case: Case, there: ProcessorInvoice) -> Decision:
    """Stripe asks for less than is open: of what was paid or credited there, not all is in the books yet."""
    credited = there.total_minor - there.paid_minor - there.remaining_minor
    if credited <= 0:
        return _rest(
            "paid_at_stripe", f"Stripe has collected for {case.name}; the payment is on its way to QuickBooks."
        )
    shown = _shown(credited, there.currency)
    text = f"A credit note at Stripe took {shown} off {case.name}"
    if there.paid_minor:
        return _rest(
            "lowered_at_stripe",
            f"{text}, and {_shown(there.paid_minor, there.currency)} was paid there. What of it is not in QuickBooks "
            "yet goes in by itself, or waits in Review.",
        )
    return _rest("credited_at_stripe", f"{text}. It goes into QuickBooks as a credit memo, or waits in Review.")


def _replace(case: Case, there: ProcessorInvoice) -> Decision:
    """Only what nobody has begun to pay, or to credit, is voided; the next round makes it anew."""
    if there.paid_minor or there.credited_minor:
        return _credit(case, there)
    if case.is_disputed:
        return _processing(case)
    return _unlooked(case, there) or _do(
        "void", f"The Stripe invoice of {case.name} is voided: it was changed in QuickBooks."
    )


def _unlooked(case: Case, there: ProcessorInvoice) -> Decision | None:
    """Why what is open at Stripe must not be touched yet."""
    if not case.is_fresh or there.busy is None:
        return _do("look", f"Stripe is asked whether {case.name} is being paid.")
    return _processing(case) if there.busy else None


def _credit(case: Case, there: ProcessorInvoice) -> Decision:
    """Changed after a part was paid or credited: a credit note takes off what it was lowered by, if that is open."""
    lowered, shown = _lowered(case, there), _shown(abs(_lowered(case, there)), there.currency)
    if lowered <= 0 or not _is_same(case, there):
        how = f"raised by {shown}" if lowered < 0 else "changed"
        text = f"{case.name} was {how} in QuickBooks after it was paid or credited at Stripe, where it stays as it is. "
        return _wait("changed_after_payment", f"{text}Undo that in QuickBooks; make another invoice for what is new.")
    if lowered > there.remaining_minor:
        rest = _shown(lowered - there.remaining_minor, there.currency)
        text = f"{case.name} was lowered by {shown} in QuickBooks, of which {rest} was paid at Stripe already. "
        return _wait(
            "credit_exceeds",
            f"{text}Give a credit note of {shown} at Stripe and say there how the {rest} goes back: as a refund or as "
            "credit. If Review asks about that note, leave it as it is. Or undo the change in QuickBooks.",
        )
    over, missing = there.remaining_minor - case.invoice.open_minor, _missing(case)
    known = lowered + sum(part.amount_minor for part in missing)
    if over < known or case.is_disputed or any(part.standing == "pending" for part in case.paid):
        return _disputed(case)
    if over > known:
        return _otherwise(case, over - lowered)
    part = PaidPart(
        document_id=lowering_id(case.invoice),
        amount_minor=lowered,
        dated=case.today,
        standing="lowered",
        is_credit=True,
    )
    return _unlooked(case, there) or _reporting(case, part)


def lowering_id(invoice: Document) -> str:
    """What stands for this version of an invoice having been lowered, among the documents that Stripe is told of."""
    return f"{invoice.id}@{invoice.version}"


def _lowered(case: Case, there: ProcessorInvoice) -> int:
    """By how much the books ask for less in all than Stripe, but for credits that are in both."""
    return there.total_minor - there.credited_minor - (case.invoice.amount_minor - _credited_in_both(case))


def _credited_in_both(case: Case) -> int:
    credits_ = [part for part in case.paid if part.is_credit]
    return sum(part.amount_minor for part in credits_ if part.attached or part.standing == "stripe")


def _is_same(case: Case, there: ProcessorInvoice) -> bool:
    """Whether it is the same invoice to the same customer, so that only its lines and dates can have changed."""
    is_payer = case.payer is not None and case.payer.id == case.sent.payer_id
    number = number_of(case.invoice, case.sent.spent)
    return is_payer and there.currency == case.invoice.currency and number in (None, there.number)


def _is_credited(case: Case, there: ProcessorInvoice) -> bool:
    """Whether credit notes that a person gave at Stripe have taken off what it was lowered by in the books."""
    others = there.credited_minor - _credited_in_both(case) - case.lowered_minor
    return others > 0 and _is_same(case, there) and _lowered(case, there) == 0


def _missing(case: Case) -> list[PaidPart]:
    """What Stripe is not told of yet."""
    return [part for part in case.paid if part.standing in REPORTED and part.amount_minor and not part.attached]


def _lower(case: Case, there: ProcessorInvoice, over: int) -> Decision:
    """Stripe asks for more than is open: somebody paid another way, or gave a credit in the books."""
    if case.is_disputed or any(part.standing == "pending" for part in case.paid):
        return _disputed(case)
    missing = _missing(case)
    if sum(part.amount_minor for part in missing) != over:
        return _otherwise(case, over)
    last = min(missing, key=lambda part: part.standing == "credit")  # credits last
    return _unlooked(case, there) or _reporting(case, last)


def _otherwise(case: Case, over: int) -> Decision:
    text = f"Stripe still asks for {_shown(over, case.invoice.currency)} more than is open on {case.name}, which was "
    return _wait("paid_otherwise", f"{text}paid or credited otherwise. Settle or void the Stripe invoice there.")


def _reporting(case: Case, part: PaidPart) -> Decision:
    shown = _shown(part.amount_minor, case.invoice.currency)
    if part.standing in ("credit", "lowered"):
        return _do("give_credit", f"A credit note of {shown} for {case.name} is given at Stripe.", part)
    if part.record_id is None:
        return _do("report_payment", f"{shown} of {case.name}, paid elsewhere, is reported to Stripe.", part)
    return _do("attach_payment", f"{shown} of {case.name}, paid elsewhere, is taken off at Stripe.", part)


def _joined(case: Case, there: ProcessorInvoice) -> Decision:
    """A balance that came between the look and the finalizing."""
    shown = _shown(there.starting_minor, there.currency)
    text = f"Stripe added the customer's balance of {shown} to {case.name}, so that it collects another amount. "
    return _wait("due_differs", f"{text}Void it at Stripe, settle the balance, and send it again.")


def _follow_paid(case: Case, there: ProcessorInvoice) -> Decision:
    if there.starting_minor:
        return _joined(case, there)
    if _is_changed(case) and not _is_credited(case, there):
        return _credit(case, there)
    return _rest("paid", f"{case.name} is paid at Stripe.")


def _withdraw(case: Case, there: ProcessorInvoice) -> Decision:
    """Voided or deleted in the books."""
    if there.status == "draft":
        return _do("delete_draft", f"The draft of {case.name} is deleted: the invoice is gone in QuickBooks.")
    if there.status == "void":
        return _rest("withdrawn", f"{case.name} is void on both sides.")
    if there.status != "open" or there.paid_minor:
        text = f"{case.name} was voided or deleted in QuickBooks, but paid at Stripe. "
        return _wait("voided_after_payment", f"{text}Refund it or give a credit note at Stripe, or restore it.")
    if case.is_disputed:
        return _processing(case)
    return _unlooked(case, there) or _do(
        "void", f"The Stripe invoice of {case.name} is voided: it is gone in QuickBooks."
    )


def _is_changed(case: Case) -> bool:
    """Whether a customer would see another invoice now, or another customer sees it."""
    payer = case.payer.id if case.payer else case.sent.payer_id or ""
    made_for = case.there.metadata.get(CUSTOMER_KEY) if case.there else None
    if case.payer is None and made_for not in (None, case.invoice.customer_id):
        return True
    return digest_of(case.invoice, case.content, payer) != case.sent.digest


def _processing(case: Case) -> Decision:
    text = f"A payment of {case.name} is under way at Stripe. It goes on by itself when that has ended."
    return _wait("payment_processing", text)


def _do(action: Action, detail: str, part: PaidPart | None = None) -> Decision:
    return Decision(kind="do", reason=action, detail=detail, part=part)


def _wait(reason: str, detail: str) -> Decision:
    return Decision(kind="wait", reason=reason, detail=detail)


def _rest(reason: str, detail: str) -> Decision:
    return Decision(kind="rest", reason=reason, detail=detail)


def _shown(amount: int, currency: str) -> str:
    return f"{to_decimal(amount, currency):,} {currency}"
