"""Names and e-mail addresses of customers: what changes in the books is brought to the counterpart at Stripe.

Only where nobody has changed it at Stripe since both were last compared. What was changed on both sides is a person's
to decide, and nothing is ever emptied.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from reconcile.counterparts import emails
from reconcile.records import Customer

Field = Literal["name", "email"]
Told = Mapping[str, list[str]]  # by field: what stood in the books and at Stripe when both were last compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """How two counterparts compare: `told` is to be remembered, `changes` brought to Stripe (`told` counts on that),
    `differing` are the fields that both sides have changed.
    """

    told: dict[str, list[str]]
    changes: dict[Field, str] = field(default_factory=dict)
    differing: tuple[Field, ...] = ()


def compare(books: Customer, there: Customer, told: Told) -> Contact:
    """`told` is empty of a pair that was never compared: it is from now on."""
    new, changes, differing = dict(told), {}, []
    for each in get_args(Field):
        here, now = in_books(books, each), at_stripe(there, each)
        here_then, now_then = told.get(each, [here, now])
        if each not in told or _is_same(each, here, now):
            new[each] = [here, now]
        elif not here or _is_same(each, here, here_then):
            continue  # nothing to bring; what somebody changed at Stripe is theirs, and stays known as changed
        elif now == now_then:
            new[each], changes[each] = [here, here], here
        else:
            differing.append(each)
    return Contact(told=new, changes=changes, differing=tuple(differing))


def in_books(customer: Customer, name: Field) -> str:
    """As it goes to Stripe: the first of several addresses, a name without the currency that tells twins apart."""
    if name == "email":
        return next(iter(sorted(emails(customer))), "")
    shown = " ".join(customer.name.split())
    return shown.removesuffix(f" ({customer.currency})") if customer.currency else shown


def at_stripe(customer: Customer, name: Field) -> str:
    return " ".join(customer.name.split()) if name == "name" else (customer.email or "").strip()


def _is_same(name: Field, one: str, other: str) -> bool:
    return one.casefold() == other.casefold() if name == "email" else one == other
