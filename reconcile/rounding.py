"""What the books cannot keep of currencies with three decimals, as one entry a month against Rounding.

Each leg is posted as the nearest amount that QuickBooks keeps (`reconcile.draft`), and the proof lists what is left of
it. Once a month is over, what its legs left is posted together; what even that cannot keep goes on into the next month.
"""

import calendar
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from reconcile.money import in_books
from reconcile.postings import ROLES, Posting, PostingLine, Share

KIND = "rounding"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remainder:
    """What is left of a leg that is in the books, in minor units as Stripe's balance moves; `dated` is its movement's
    day. `exchange_rate` is that of its document (None: home currency, or none yet).
    """

    leg_id: str
    currency: str
    dated: date
    amount_minor: int
    exchange_rate: str | None = None


def stem(account_id: str, currency: str, month: date) -> str:
    """How the markers of a month's entries begin, up to their revision."""
    return f"{account_id}:{KIND}-{currency.lower()}-{month:%Y-%m}"


def plan_rounding(
    remainders: Sequence[Remainder],
    *,
    account_id: str,
    home_currency: str,
    clearing: Mapping[str, str],
    rounding_account: str,
    before: date,
    made: Mapping[str, int],
) -> list[Posting]:
    """The entries of all months that ended before the day `before`; `made` counts those there are, by their stem."""
    months: dict[str, dict[date, list[Remainder]]] = defaultdict(lambda: defaultdict(list))
    for each in sorted(remainders, key=lambda each: (each.dated, each.leg_id)):
        end = each.dated.replace(day=calendar.monthrange(each.dated.year, each.dated.month)[1])
        if end < before and each.currency in clearing:
            months[each.currency][end].append(each)
    postings = []
    for currency, by_month in sorted(months.items()):
        pool: list[Remainder] = []
        for end, found in sorted(by_month.items()):
            pool += found
            name = stem(account_id, currency, end)
            entry = _entry(pool, f"{name}:r{made.get(name, 0) + 1}:s1", end, clearing[currency], rounding_account)
            if entry is not None and (currency == home_currency or entry.exchange_rate):
                postings.append(entry)
                pool = _left(pool, entry)
    return postings


def _entry(pool: Sequence[Remainder], marker: str, day: date, clearing: str, rounding: str) -> Posting | None:
    exact = sum(each.amount_minor for each in pool)
    amount, currency = in_books(exact, pool[0].currency), pool[0].currency
    if not amount:
        return None
    shares = {each.leg_id: each.amount_minor for each in pool}
    shares[pool[-1].leg_id] -= exact - amount  # the last one keeps what even the sum cannot
    text = f"What QuickBooks could not keep of {len(pool)} Stripe amounts in {currency} until {day}"
    return Posting(
        marker=marker,
        kind="journal_entry",
        dated=day,
        currency=currency,
        amount_minor=abs(amount),
        account_id=clearing,
        exchange_rate=next((each.exchange_rate for each in reversed(pool) if each.exchange_rate), None),
        memo=text,
        reference=f"TIEOUT-{day:%Y-%m}-{currency}",
        lines=(
            PostingLine(amount_minor=amount, account_id=clearing, description=ROLES["rounding"]),
            PostingLine(amount_minor=-amount, account_id=rounding, description=ROLES["rounding"]),
        ),
        shares=tuple(Share(leg_id=leg_id, amount_minor=part) for leg_id, part in shares.items() if part),
    )


def _left(pool: Sequence[Remainder], entry: Posting) -> list[Remainder]:
    booked = {share.leg_id: share.amount_minor for share in entry.shares}
    left = [replace(each, amount_minor=each.amount_minor - booked.get(each.leg_id, 0)) for each in pool]
    return [each for each in left if each.amount_minor]
