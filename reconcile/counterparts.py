"""Which customer of the books is which customer at Stripe.

What is stored counts first: our links, then the id one system keeps of the other. Then e-mail and name together. One of
the two alone, or several candidates, is for a person to decide. A Stripe customer has at most one counterpart in each
currency, since QuickBooks gives a customer one currency and Stripe none.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from reconcile.records import Customer

REALM_KEY, CUSTOMER_KEY = "qbo_realm_id", "qbo_customer_id"
How = Literal["stored", "email_and_name", "merged", "person", "created"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A customer of the books and one at Stripe that are the same, and how we know."""

    customer_id: str
    processor_customer_id: str
    currency: str
    how: How


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is settled already: links, pairs that a person kept apart, and customers that went into others.

    `ended` are the customers of the books whose counterpart Stripe has deleted.
    """

    links: tuple[Pair, ...] = ()
    ended: frozenset[str] = frozenset()
    apart: frozenset[tuple[str, str]] = frozenset()
    merged: Mapping[str, str] = field(default_factory=dict)  # customer of the books -> the one it went into


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterparts:
    """New links, and for customers of the books that only may have a counterpart, who that could be."""

    linked: tuple[Pair, ...] = ()
    doubtful: dict[str, tuple[str, ...]] = field(default_factory=dict)


def metadata_key(currency: str, home_currency: str) -> str:
    """Where a Stripe customer's metadata names its counterpart of a currency."""
    return CUSTOMER_KEY if currency == home_currency else f"{CUSTOMER_KEY}_{currency.lower()}"


def pair(
    books: Iterable[Customer], processor: Iterable[Customer], known: Known, *, realm_id: str, home_currency: str
) -> Counterparts:
    """Finds the counterparts of the customers of the books that have no link yet."""
    index = _Index(processor, realm_id)
    standing = [each for each in known.links if each.customer_id not in known.ended]
    linked_ids = {each.customer_id for each in standing}
    taken = {(each.processor_customer_id, each.currency) for each in standing if each.customer_id not in known.merged}
    found: list[Pair] = []
    candidates: dict[str, tuple[set[str], set[str], str]] = {}
    for customer in sorted(books, key=lambda each: each.id):
        currency = customer.currency or home_currency
        if customer.id in linked_ids or not customer.active:
            continue
        certain = _certain(customer, currency, index, known, home_currency)
        if certain is not None and (certain.processor_customer_id, currency) not in taken:
            found.append(certain)
            taken.add((certain.processor_customer_id, currency))
            continue
        alike, same = index.alike(customer)
        free = {each for each in alike if (customer.id, each) not in known.apart and (each, currency) not in taken}
        if free:
            candidates[customer.id] = (free, same & free, currency)
    return _decide(found, candidates, taken)


def _decide(
    found: list[Pair], candidates: dict[str, tuple[set[str], set[str], str]], taken: set[tuple[str, str]]
) -> Counterparts:
    """One candidate that no other customer of the books could be either, and that is the same in both: that is it."""
    wanted: dict[tuple[str, str], int] = defaultdict(int)
    for free, _, currency in candidates.values():
        for each in free - {name for name, money in taken if money == currency}:
            wanted[each, currency] += 1
    doubtful: dict[str, tuple[str, ...]] = {}
    for customer_id, (all_free, same, currency) in candidates.items():
        free = {each for each in all_free if (each, currency) not in taken}
        if len(free) == 1 and free == same and all(wanted[each, currency] == 1 for each in free):
            pair_ = Pair(
                customer_id=customer_id, processor_customer_id=min(free), currency=currency, how="email_and_name"
            )
            found.append(pair_)
        elif free:
            doubtful[customer_id] = tuple(sorted(free))
    return Counterparts(linked=tuple(found), doubtful=doubtful)


def _certain(customer: Customer, currency: str, index: "_Index", known: Known, home_currency: str) -> Pair | None:
    """What one of the systems stores, or what was true of a customer that went into this one."""
    named = index.by_stored.get((metadata_key(currency, home_currency), customer.id), set())
    if customer.counterpart_id in index.by_id:
        named = named | {customer.counterpart_id or ""}
    if len(named) == 1:
        return Pair(customer_id=customer.id, processor_customer_id=min(named), currency=currency, how="stored")
    before = {old for old, new in known.merged.items() if new == customer.id}
    moved = {each.processor_customer_id for each in known.links if each.customer_id in before}
    if len(moved) == 1 and not named:
        return Pair(customer_id=customer.id, processor_customer_id=min(moved), currency=currency, how="merged")
    return None


class _Index:
    """Stripe's customers by what they can be found by."""

    def __init__(self, customers: Iterable[Customer], realm_id: str) -> None:
        self.by_id: dict[str, Customer] = {}
        self.by_stored: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._by_email: dict[str, set[str]] = defaultdict(set)
        self._by_name: dict[str, set[str]] = defaultdict(set)
        for customer in customers:
            self.by_id[customer.id] = customer
            for email in emails(customer):
                self._by_email[email].add(customer.id)
            if name := name_key(customer):
                self._by_name[name].add(customer.id)
            if customer.metadata.get(REALM_KEY) == realm_id:
                for key, value in customer.metadata.items():
                    if key.startswith(CUSTOMER_KEY):
                        self.by_stored[key, value].add(customer.id)

    def alike(self, customer: Customer) -> tuple[set[str], set[str]]:
        """Those with an e-mail or the name of a customer, and those with both."""
        by_email = {each for email in emails(customer) for each in self._by_email.get(email, ())}
        by_name = self._by_name.get(name_key(customer), set())
        return by_email | by_name, by_email & by_name


def emails(customer: Customer) -> set[str]:
    """QuickBooks keeps several in one field."""
    parts = (customer.email or "").replace(";", ",").split(",")
    return {part.strip().casefold() for part in parts if part.strip()}


def name_key(customer: Customer) -> str:
    """A name as it is compared: without case, spacing, and the currency that tells twins in QuickBooks apart."""
    name = " ".join(customer.name.split()).casefold()
    return name.removesuffix(f" ({customer.currency})".casefold()) if customer.currency else name
