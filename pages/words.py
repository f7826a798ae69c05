"""How the pages write amounts, times, ids and reasons. Pure."""

from datetime import date, datetime, timedelta

from reconcile.money import to_decimal

# What waits, in two or three words. The sentence that says what to do is stored with each leg.
REASONS = {
    "no_invoice": "no invoice fits",
    "unknown_customer": "customer unknown",
    "proposed": "match proposed",
    "refused": "QuickBooks refused",
    "foreign_currency": "other currency",
    "unmapped_account": "account not chosen",
    "unmapped_item": "item not chosen",
    "unmapped_tax": "tax code not chosen",
    "unmapped_category": "kind not posted yet",
    "closed_period": "books closed",
    "charge_set_aside": "charge set aside",
    "charge_before_cutover": "before cut-over",
    "refund_with_tax": "refund with tax",
    "payout_failed": "payout failed",
    "taken_back_later": "not captured, taken back",
    "came_back_in_part": "came back in part",
    "minimum_balance": "held back by Stripe",
    "MAY_BE_RECORDED": "recorded already?",
    "RECORDED_TWICE": "recorded twice",
    "DUPLICATE_CHARGE": "charged twice",
    "DUPLICATE_INVOICE": "equal invoices",
    "WRONG_REFERENCE": "wrong reference",
    "PARTIAL": "part payment",
    "OVERPAID": "overpaid",
    "written_off": "written off",
    "credit_differs": "credited otherwise",
    "credited_outside": "credited outside of Stripe",
    "credit_note_voided": "credit note voided",
    "unknown_invoice": "invoice not in QuickBooks",
    "SPLIT_AMBIGUOUS": "several invoices fit",
    "AMOUNT_DIFF": "amount differs",
    "FX_RATE_MISSING": "rate missing",
    "CURRENCY_DIFF": "currency differs",
    "COMPONENT_LIMIT": "too many invoices fit",
    "STALE_DECISION": "decided on old data",
    "undo_unclear": "undo unclear",
    "undo_stopped": "undone in part",
}
# The parts of a difference between the two balances.
ITEMS = {
    "in_transit": "in transit to the bank",
    "queued": "on the way into QuickBooks",
    "to_record": "to be recorded in QuickBooks",
    "undecided": "being decided",
    "undoing": "being undone",
    "waits_with_charge": "waiting with their charge",
    "awaiting_reversal": "awaiting Stripe's reversal",
    "source_unread": "being read from Stripe",
    "date_moved": "dated another day",
    "recorded_elsewhere": "recorded elsewhere",
    "ignored": "set aside",
    "rounding": "rounding",
    "waiting": "waiting for review",
    "drift": "changed in QuickBooks",
    "books_only": "only in QuickBooks",
    "opening": "opening balance",
}
PREFIXES = {
    "ch": "charge",
    "py": "charge",
    "cn": "credit note",
    "re": "refund",
    "pyr": "refund",
    "po": "payout",
    "dp": "dispute",
    "du": "dispute",
    "txn": "movement",
}
ROLES = {"already_recorded": "may be the record of it", "pays_invoice": "open, could be paid by it"}

SYSTEMS = {"stripe": "Stripe", "qbo": "QuickBooks Online", "qbd": "QuickBooks Desktop"}
SYSTEMS |= {"stripe_file": "Stripe, from files", "qbo_file": "QuickBooks, from files"}
SIDE_STATES = {
    "ready": ("good", "ready"),
    "limited": ("wait", "a right is missing"),
    "reconnect": ("bad", "connect again"),
    "disconnected": ("wait", "disconnected"),
}
DECISIONS = {
    "match": "Accepted",
    "not_match": "Kept apart",
    "ignore": "Ignored",
    "record_without_invoice": "Recorded without an invoice",
    "undone": "Undone",
}
SHORT = {"fee": "the rest a fee kept by somebody else", "write_off": "the rest written off"}

# Where an invoice of the books stands on its way to Stripe.
SENDING = {
    "create_customer": "made, with its customer",
    "create_invoice": "made",
    "adopt": "found at Stripe",
    "add_lines": "lines added",
    "look": "checked at Stripe",
    "finalize": "finalized",
    "report_payment": "payment reported",
    "attach_payment": "payment reported",
    "give_credit": "credit note given",
    "send": "sent by e-mail",
    "delete_draft": "draft deleted",
    "void": "voided at Stripe",
    "open": "open at Stripe",
    "paid": "paid at Stripe",
    "paid_at_stripe": "collected by Stripe",
    "credited_at_stripe": "credited at Stripe",
    "lowered_at_stripe": "paid or credited at Stripe",
    "drafted": "draft at Stripe",
    "withdrawn": "void on both sides",
    "already_there": "at Stripe, made by others",
    "dated_later": "dated later",
    "lines_differ": "lines differ from total",
    "too_many_lines": "number of lines",
    "unknown_minimum": "minimum unknown",
    "below_minimum": "below Stripe's minimum",
    "above_maximum": "above Stripe's maximum",
    "odd_amount": "amount cannot be paid",
    "payment_under_way": "may be paid already",
    "part_paid": "paid in part",
    "number_taken": "number taken at Stripe",
    "customer_inactive": "customer inactive",
    "customer_doubtful": "customer not certain",
    "no_email": "no e-mail address",
    "customer_balance": "customer has a balance",
    "total_differs": "total differs",
    "automatic_tax": "automatic tax is on",
    "due_differs": "amount to collect differs",
    "changed_after_payment": "changed after payment",
    "credit_exceeds": "lowered below what was paid",
    "voided_after_payment": "voided after payment",
    "payment_processing": "being paid right now",
    "paid_otherwise": "paid another way",
    "report_stale": "reported payment changed",
    "gone_at_stripe": "gone at Stripe",
    "written_off_at_stripe": "written off at Stripe",
    "refused": "Stripe refused",
    "unclear": "answer lost",
}
WARNED = {"pay_link": "QuickBooks pay link", "new_customer": "new customer", "no_email": "no e-mail"}

MADE_CHARS = 21  # as long as QuickBooks takes: a number of a document that we made of a longer id


def sending(code: str, *, would: bool = False) -> str:
    """`would`: nothing of it happens yet."""
    text = SENDING.get(code, code.replace("_", " "))
    return f"would be {text}" if would and code in ("create_customer", "create_invoice") else text


def reason(code: str) -> str:
    return REASONS.get(code, code.replace("_", " ").lower())


def capitalised(text: str) -> str:
    """As the first word of a line; QuickBooks keeps its own capitals."""
    return text[:1].upper() + text[1:]


def article(noun: str) -> str:
    """With "a" or "an" before it."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def item_reason(code: str) -> str:
    return ITEMS.get(code, code.replace("_", " "))


def amount(minor: int, currency: str) -> str:
    """Accountants' style: 3,210.00 and (3,210.00)."""
    figure = f"{to_decimal(abs(minor), currency):,}"
    return f"({figure})" if minor < 0 else figure


def money(minor: int, currency: str) -> str:
    return f"{amount(minor, currency)} {currency}"


def kind(source_id: str) -> str:
    if source_id.startswith("fees:"):
        return "fees of"
    return PREFIXES.get(source_id.partition("_")[0], "entry")


def short(object_id: str) -> str:
    """An id by its head and tail; the whole one belongs beside it or on hover. Of fees, what they were taken for."""
    object_id = object_id.removeprefix("fees:").replace(":bills", " with bills").replace(":", " ")
    return object_id if len(object_id) <= 16 else f"{object_id[:7]}…{object_id[-6:]}"


def document(document_id: str, number: str | None = None) -> str:
    """ "Invoice 1042", or by the ledger's id where it has no number, or one that we made of Stripe's id."""
    name, _, ledger_id = document_id.partition(":")
    said = number if number and len(number) < MADE_CHARS else ledger_id
    return f"{name.replace('_', ' ').capitalize()} {said}"


def count(number: int, noun: str, plural: str | None = None) -> str:
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def factor(weight: int) -> str:
    """Milli-bits in words: "512 times likelier"; what is a matter of rules settles it."""
    if abs(weight) >= 20_000:
        return "settles it" if weight > 0 else "rules it out"
    times = 2 ** (abs(weight) / 1_000)
    figure = f"{times:,.0f}" if times >= 10 else f"{times:.1f}"
    return f"{figure} times {'likelier' if weight > 0 else 'less likely'}"


def chance(ppm: int) -> str:
    """A probability as a person reads it: 29 %, 99.7 %, 99.98 %; never more than that, and never all."""
    if ppm < 10_000:
        return "less than 1 %"
    places = 0 if ppm < 950_000 else 1 if ppm < 999_000 else 2
    return f"{min(ppm / 10_000, 99.99):.{places}f} %"


def ago(then: datetime, now: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    if seconds < 60:
        return "just now"
    return f"{span(timedelta(seconds=seconds))} ago"


def span(time: timedelta) -> str:
    """A time in its largest unit."""
    seconds = int(time.total_seconds())
    for size, noun in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return count(seconds // size, noun)
    return count(seconds, "second")


def brief(time: timedelta) -> str:
    """The same for a narrow place: 42 s, 5 min, 3 h, 6 d."""
    seconds = max(0, int(time.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:,} {unit}"
    return f"{seconds} s"


def clock_time(time: timedelta | None) -> str:
    """A duration for a table: 0:42, 12:05."""
    if time is None:
        return ""
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    return f"{minutes}:{seconds:02}"


def day(value: date) -> str:
    return f"{value.day} {value:%b %Y}"


def listed(parts: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else ""
