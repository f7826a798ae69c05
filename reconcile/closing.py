"""A period's close: both balances rolled forward, the difference itemised to zero, and what has changed since.

Pure, over the proof and the frames it was made of. What is frozen at the sign-off are figures that later knowledge does
not rewrite: balances, sums by category and kind, and what each document does to the clearing account. The wording of an
item may change ("on its way" becomes "until the 3rd"), which is no change of the books.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from reconcile.discrepancy import money
from reconcile.proof import SETTLED_REASONS, Proof

# Days an item has stood at the end of the period, as bookkeepers group them: up to and with.
AGES = ((7, "0-7"), (30, "8-30"), (60, "31-60"), (90, "61-90"))
OLDEST = "90+"
OPENED = "opening balance"
MOVED = ("currency", "day", "kind", "count", "amount_minor")  # what documents do to the clearing account


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One currency's two balances, at the end of the day before the period and at the end of its last day."""

    currency: str
    stripe_opening_minor: int
    stripe_closing_minor: int
    clearing_opening_minor: int
    clearing_closing_minor: int

    @property
    def difference_minor(self) -> int:
        return self.stripe_closing_minor - self.clearing_closing_minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A sum of the period: `name` is Stripe's reporting category, a kind of document, or a kind of fee."""

    currency: str
    name: str
    count: int
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One part of the difference at the end of the period. `settled`: it needs nobody."""

    currency: str
    reason: str
    since: date
    age: str
    amount_minor: int
    settled: bool
    text: str
    source_id: str | None = None
    document_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What one document does to the clearing account in the period."""

    currency: str
    document_id: str
    day: date
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """A period's figures without the documents behind them."""

    first: date
    last: date
    balances: tuple[Balance, ...]
    stripe: tuple[Line, ...]
    clearing: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures(Sums):
    """What a sign-off freezes."""

    booked: tuple[Booked, ...]

    @property
    def sums(self) -> Sums:
        return Sums(**{name: getattr(self, name) for name in Sums.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Something of a signed period that is not as it was signed. `was` or `now` is None: it was not there."""

    what: str  # stripe | clearing
    currency: str
    name: str  # the category, or the document's id
    day: date | None
    was_minor: int | None
    now_minor: int | None


# ---- making


def sums(
    proof: Proof,
    openings: pl.DataFrame,
    activity: pl.DataFrame,
    clearing: pl.DataFrame,
    settled: pl.DataFrame,
    first: date,
    last: date,
) -> Sums:
    """The period's sums, for the currencies that are proved in it.

    `openings` is OPENING_SCHEMA, `clearing` CLEARING_SCHEMA of reconcile.proof, and `settled` SETTLED_SCHEMA what
    `clearing` leaves out; `activity` has the columns currency String, category String, count Int64, amount_minor Int64:
    Stripe's movements of the period's days. Raises ArithmeticError if the activity of a side does not lead from its
    opening to its closing balance: then something is missing, and nothing can be signed.
    """
    begins = _begins(proof, first, last)
    opened = dict(openings.select("currency", "stripe_minor").iter_rows())
    moved = pl.concat([_moved_clearing(clearing), settled.select(MOVED)])
    found = Sums(
        first=first,
        last=last,
        balances=tuple(
            _balance(proof.days.filter(pl.col("currency") == currency), opened, moved, begin, last)
            for currency, begin in begins.items()
        ),
        stripe=tuple(Line(**row) for row in activity.rename({"category": "name"}).sort("currency", "name").to_dicts()),
        clearing=tuple(_by_kind(moved, begins, last)),
    )
    for balance in found.balances:
        _check(balance, found)
    return found


def figures(found: Sums, proof: Proof, clearing: pl.DataFrame) -> Figures:
    """The same with each document of the period; `clearing` is CLEARING_SCHEMA and leaves none of them out.

    Raises ArithmeticError if it does: then what is listed is not what was summed up, and nothing can be signed.
    """
    begins = _begins(proof, found.first, found.last)
    booked = tuple(_booked(clearing, begins, found.last))
    summed = {(line.currency, line.name): (line.count, line.amount_minor) for line in found.clearing}
    if summed != _listed(booked):
        text = "The documents that moved the clearing account in the period are not those that make its sums."
        raise ArithmeticError(text)
    return Figures(**{name: getattr(found, name) for name in Sums.__dataclass_fields__}, booked=booked)


def _listed(booked: Iterable[Booked]) -> dict[tuple[str, str], tuple[int, int]]:
    """By currency and kind how many documents are listed, and what they come to."""
    amounts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in booked:
        amounts[each.currency, each.document_id.partition(":")[0]].append(each.amount_minor)
    return {group: (len(each), sum(each)) for group, each in amounts.items()}


def _begins(proof: Proof, first: date, last: date) -> dict[str, date]:
    """By currency the first day of the period on which it is proved."""
    starts = proof.days.group_by("currency").agg(pl.col("day").min()).filter(pl.col("day") <= last)
    return {currency: max(first, start) for currency, start in starts.sort("currency").iter_rows()}


def _moved_clearing(clearing: pl.DataFrame) -> pl.DataFrame:
    """MOVED; what an opening entry does has no kind and the earliest day, for it comes before every period."""
    kind = pl.col("document_id").str.split(":").list.first()
    return clearing.select(
        "currency",
        day=pl.when(_is_opening()).then(pl.lit(date.min)).otherwise("day"),
        kind=pl.when(_is_opening()).then(pl.lit("")).otherwise(kind),
        count=(pl.col("amount_minor") != 0).cast(pl.Int64),
        amount_minor="amount_minor",
    )


def _balance(days: pl.DataFrame, opened: Mapping[str, int], moved: pl.DataFrame, begin: date, last: date) -> Balance:
    """`days` are those of one currency; what came before its cut-over is in its opening. `moved` has MOVED."""
    currency = days["currency"][0]
    by_day = {row["day"]: row for row in days.to_dicts()}
    before, end = by_day.get(begin - timedelta(days=1)), by_day[last]
    earlier = moved.filter(pl.col("currency") == currency, pl.col("day") < begin)
    return Balance(
        currency=currency,
        stripe_opening_minor=before["stripe_minor"] if before else opened.get(currency, 0),
        stripe_closing_minor=end["stripe_minor"],
        clearing_opening_minor=int(earlier["amount_minor"].sum()),
        clearing_closing_minor=end["clearing_minor"],
    )


def _is_opening() -> pl.Expr:
    return pl.col("opening").fill_null(False)


def _booked(clearing: pl.DataFrame, begins: Mapping[str, date], last: date) -> Iterator[Booked]:
    inside = clearing.filter(~_is_opening(), pl.col("day") <= last, pl.col("amount_minor") != 0)
    for row in inside.sort("currency", "day", "document_id").to_dicts():
        if row["currency"] in begins and row["day"] >= begins[row["currency"]]:
            yield Booked(**{name: row[name] for name in ("currency", "document_id", "day", "amount_minor")})


def _by_kind(moved: pl.DataFrame, begins: Mapping[str, date], last: date) -> Iterator[Line]:
    starts = pl.DataFrame(list(begins.items()), schema={"currency": pl.String, "begin": pl.Date}, orient="row")
    inside = moved.join(starts, on="currency").filter(pl.col("day").is_between("begin", last), pl.col("count") > 0)
    lines = inside.group_by("currency", "kind").agg(pl.col("count", "amount_minor").sum()).sort("currency", "kind")
    for row in lines.rename({"kind": "name"}).iter_rows(named=True):
        yield Line(**row)


def _check(balance: Balance, found: Sums) -> None:
    sides = (
        ("Stripe's balance", balance.stripe_opening_minor, found.stripe, balance.stripe_closing_minor),
        ("the clearing account", balance.clearing_opening_minor, found.clearing, balance.clearing_closing_minor),
    )
    for name, opening, lines, closing in sides:
        total = opening + sum(line.amount_minor for line in lines if line.currency == balance.currency)
        if total != closing:
            gap = money(closing - total, balance.currency)
            raise ArithmeticError(f"What moved {name} in the period leaves {gap} unaccounted for.")


def differences(proof: Proof, last: date) -> list[Difference]:
    """What makes the difference of the last day, what needs somebody first, then the oldest."""
    found = []
    for currency in sorted(set(proof.days["currency"])):
        for item in proof.items_on(currency, last).to_dicts():
            found.append(
                Difference(
                    currency=currency,
                    reason=item["reason"],
                    since=item["from_day"],
                    age=_age((last - item["from_day"]).days),
                    amount_minor=item["amount_minor"],
                    settled=item["reason"] in SETTLED_REASONS,
                    text=item["text"],
                    source_id=item["source_id"],
                    document_id=item["document_id"],
                )
            )
    return sorted(found, key=lambda each: (each.currency, each.settled, each.since, each.text))


def spans(day: date) -> list[tuple[str, date | None, date | None]]:
    """Every age with the first and the last day of what is of that age on `day`; None: as far as there is any."""
    starts = [0, *(most + 1 for most, _ in AGES)]
    closed = [(name, day - timedelta(days=most), starts[at]) for at, (most, name) in enumerate(AGES)]
    found = [(name, first, day - timedelta(days=start) if start else None) for name, first, start in closed]
    return [*found, (OLDEST, None, day - timedelta(days=starts[-1]))]


def _age(days: int) -> str:
    return next((name for most, name in AGES if days <= most), OLDEST)


def ageing(found: Iterable[Difference]) -> list[Line]:
    """By currency and age: how many items stand open, and their sum."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for each in found:
        groups[each.currency, each.age].append(each.amount_minor)
    order = [name for _, name in AGES] + [OLDEST]
    return [
        Line(currency=currency, name=age, count=len(amounts), amount_minor=sum(amounts))
        for (currency, age), amounts in sorted(groups.items(), key=lambda pair: (pair[0][0], order.index(pair[0][1])))
    ]


# ---- comparing


def drift(signed: Figures, now: Figures) -> list[Drift]:
    """What is not as it was signed; nothing, if both have the same figures."""
    return [*_opened_anew(signed, now), *_moved(signed, now), *_rebooked(signed, now)]


def _opened_anew(signed: Figures, now: Figures) -> Iterator[Drift]:
    """What changed before the period began: that day shows it by itself only if it was signed too."""
    was = {each.currency: each for each in signed.balances}
    present = {each.currency: each for each in now.balances}
    for currency in sorted(was.keys() | present.keys()):
        for what in ("stripe", "clearing"):
            before, after = (getattr(each.get(currency), f"{what}_opening_minor", None) for each in (was, present))
            if (before or 0) != (after or 0):
                yield Drift(what=what, currency=currency, name=OPENED, day=None, was_minor=before, now_minor=after)


def _moved(signed: Figures, now: Figures) -> Iterator[Drift]:
    was, present = ({(each.currency, each.name): each.amount_minor for each in side.stripe} for side in (signed, now))
    for key in sorted(was.keys() | present.keys()):
        if was.get(key) != present.get(key):
            currency, name = key
            yield Drift(
                what="stripe",
                currency=currency,
                name=name,
                day=None,
                was_minor=was.get(key),
                now_minor=present.get(key),
            )


def _rebooked(signed: Figures, now: Figures) -> Iterator[Drift]:
    was, present = (
        {(each.currency, each.document_id, each.day): each.amount_minor for each in side.booked}
        for side in (signed, now)
    )
    for key in sorted(was.keys() | present.keys()):
        if was.get(key) != present.get(key):
            currency, document_id, day = key
            yield Drift(
                what="clearing",
                currency=currency,
                name=document_id,
                day=day,
                was_minor=was.get(key),
                now_minor=present.get(key),
            )
