"""Money in other currencies than the company's own: rates, and the accounts it goes through (rows 19, 20 and 20b).

What Stripe settles in the home currency brings its own rate: what came divided by what was paid. A balance in another
currency has a clearing account of its own, and its documents the rate QuickBooks has for their day. A document in a
third currency cannot touch that account; it goes through the bridge, a bank account in home currency, and a journal
entry moves the money on, so that the bridge ends at nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal

from reconcile.days import day_of
from reconcile.money import books_unit, exponent
from reconcile.postings import ROLES, Posting, PostingLine
from reconcile.records import Movement
from reconcile.snapshot import Snapshot

INTO, OUT_OF = frozenset(("payment", "sales_receipt")), frozenset(("refund_receipt", "ar_refund", "purchase"))
RATE_DIGITS = Context(prec=12)  # enough for a cent of any amount Stripe moves; a JSON number keeps 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Where a document's money lies, and home units for one unit of the document's currency (None: home currency)."""

    account_id: str
    exchange_rate: str | None


def settle(snapshot: Snapshot, movements: Sequence[Movement], currency: str, amount: int, settled: int) -> Settlement:
    """For a document of `amount` in `currency` that came to `settled` of the movements' currency; both above zero."""
    own, home = movements[0].currency, snapshot.home_currency
    if own == home:
        return Settlement(
            account_id=snapshot.mappings.clearing[own], exchange_rate=rate(snapshot, currency, amount, settled)
        )
    known = rate_on(snapshot, own, day_of(snapshot, movements))
    if currency == own:
        return Settlement(account_id=snapshot.mappings.clearing[own], exchange_rate=known)
    value = amount if currency == home else in_home(settled, own, known, home)
    return Settlement(
        account_id=snapshot.mappings.accounts["bridge"], exchange_rate=rate(snapshot, currency, amount, value)
    )


def needs_bridge(snapshot: Snapshot, currency: str, own: str) -> bool:
    """Whether a document in `currency` cannot touch the clearing account of `own`."""
    return own not in (snapshot.home_currency, currency)


def over_bridge(
    snapshot: Snapshot, posting: Posting, movements: Sequence[Movement], settled: int
) -> list[tuple[Posting, int]]:
    """The document, and if it went to the bridge the entry that moves `settled` on; with what each does to clearing."""
    own, home = movements[0].currency, snapshot.home_currency
    if not needs_bridge(snapshot, posting.currency, own):
        return [(posting, settled)]
    known = rate_on(snapshot, own, day_of(snapshot, movements))
    if posting.currency == home:
        known = rate(snapshot, own, abs(settled), posting.amount_minor)
    source, kind, revision, step = posting.marker.rsplit(":", 3)
    clearing, bridge = snapshot.mappings.clearing[own], snapshot.mappings.accounts["bridge"]
    entry = Posting(
        marker=f"{source}:{kind}-bridge:{revision}:{step}",
        kind="journal_entry",
        dated=posting.dated,
        currency=own,
        amount_minor=abs(settled),
        account_id=clearing,
        memo=posting.memo,
        reference=posting.reference,
        exchange_rate=known,
        lines=(
            PostingLine(amount_minor=settled, account_id=clearing, description=ROLES["bridge"]),
            PostingLine(amount_minor=-settled, account_id=bridge, description=ROLES["bridge"]),
        ),
        after=posting.marker,
    )
    return [(posting, 0), (entry, settled)]


def rate(snapshot: Snapshot, currency: str, amount: int, value: int) -> str | None:
    """Home units for one of `currency`, so that `amount` of it comes to `value`; None in home currency."""
    if currency == snapshot.home_currency:
        return None
    shift = exponent(currency) - exponent(snapshot.home_currency)
    return str(RATE_DIGITS.divide(Decimal(value).scaleb(shift), Decimal(amount)))


def rate_on(snapshot: Snapshot, currency: str, day: date) -> str | None:
    """QuickBooks' own rate of that day; None in home currency, and where it is not known."""
    return snapshot.rates.get((currency, day))


def rate_problem(snapshot: Snapshot, currency: str, day: date) -> tuple[str, str] | None:
    if currency == snapshot.home_currency or (currency, day) in snapshot.rates:
        return None
    detail = (
        f"QuickBooks has told no exchange rate for {currency} on {day}. "
        f"Enter one there (Currencies, Edit currency exchange), then sync again."
    )
    return "FX_RATE_MISSING", detail


def in_home(minor: int, currency: str, known: str | None, home: str) -> int:
    """Minor units of home currency, as QuickBooks converts: to the last unit it keeps, halves away from zero."""
    if known is None or currency == home:
        return minor
    unit = books_unit(home)
    value = (Decimal(minor) * Decimal(known)).scaleb(exponent(home) - exponent(currency)) / unit
    return int(value.quantize(Decimal(1), ROUND_HALF_UP)) * unit


def cent_entry(posting: Posting, document_rate: str | None, home: str, exchange_account: str) -> Posting | None:
    """What is missing on an account in home currency because QuickBooks keeps a rate shorter than it was sent (row 19).

    None if nothing is: the document came to what it should, to the last unit.
    """
    if posting.exchange_rate is None or document_rate is None or posting.kind not in INTO | OUT_OF:
        return None
    wanted = in_home(posting.amount_minor, posting.currency, posting.exchange_rate, home)
    gap = wanted - in_home(posting.amount_minor, posting.currency, document_rate, home)
    if not gap:
        return None
    amount = gap if posting.kind in INTO else -gap
    source, kind, revision, step = posting.marker.rsplit(":", 3)
    return Posting(
        marker=f"{source}:{kind}-cent:{revision}:{step}",
        kind="journal_entry",
        dated=posting.dated,
        currency=home,
        amount_minor=abs(amount),
        account_id=posting.account_id,
        memo=posting.memo,
        reference=posting.reference,
        lines=(
            PostingLine(amount_minor=amount, account_id=posting.account_id, description="Rounding of an exchange rate"),
            PostingLine(amount_minor=-amount, account_id=exchange_account, description="Rounding of an exchange rate"),
        ),
        shares=tuple(replace(share, amount_minor=amount) for share in posting.shares[:1] if share.amount_minor),
        after=posting.marker,
    )
