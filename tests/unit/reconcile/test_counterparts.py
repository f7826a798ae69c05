"""Which customers are the same: stored ids, then e-mail and name; anything less is for a person."""

from dataclasses import replace
from typing import Any

import pytest

from reconcile.counterparts import Known, Pair, pair
from reconcile.records import Customer


def here(id: str, name: str = "Blue Foods", email: str | None = "ap@blue.example", **more: Any) -> Customer:  # noqa: A002
    return Customer(id=id, name=name, email=email, **({"currency": "USD"} | more))


def there(id: str, name: str = "Blue Foods", email: str | None = "ap@blue.example", **more: Any) -> Customer:  # noqa: A002
    return Customer(id=id, name=name, email=email, **more)


def found(
    books: list[Customer], stripe: list[Customer], known: Known | None = None
) -> tuple[dict[str, tuple[str, str]], dict[str, tuple[str, ...]]]:
    result = pair(books, stripe, known or Known(), realm_id="9", home_currency="USD")
    return {each.customer_id: (each.processor_customer_id, each.how) for each in result.linked}, result.doubtful


STORED = {"qbo_realm_id": "9", "qbo_customer_id": "5"}


@pytest.mark.parametrize(
    ("books", "stripe", "linked", "doubtful"),
    [
        ([here("5")], [there("cus_1", "blue  FOODS", "AP@blue.example")], {"5": ("cus_1", "email_and_name")}, {}),
        ([here("5", email="x@y.example, ap@blue.example")], [there("cus_1")], {"5": ("cus_1", "email_and_name")}, {}),
        ([here("5", "Blue Foods (USD)")], [there("cus_1")], {"5": ("cus_1", "email_and_name")}, {}),
        ([here("5")], [there("cus_1", "Red Foods")], {}, {"5": ("cus_1",)}),
        ([here("5")], [there("cus_1", email=None)], {}, {"5": ("cus_1",)}),
        ([here("5")], [there("cus_1"), there("cus_2")], {}, {"5": ("cus_1", "cus_2")}),
        ([here("5")], [there("cus_1"), there("cus_2", email=None)], {}, {"5": ("cus_1", "cus_2")}),
        ([here("5"), here("6")], [there("cus_1")], {}, {"5": ("cus_1",), "6": ("cus_1",)}),
        ([here("5", active=False)], [there("cus_1")], {}, {}),
        ([here("5")], [there("cus_1", "Other", None, metadata=STORED)], {"5": ("cus_1", "stored")}, {}),
        ([here("5")], [there("cus_1", "Other", None, metadata=STORED | {"qbo_realm_id": "8"})], {}, {}),
        ([here("5", "Other", None, counterpart_id="cus_1")], [there("cus_1")], {"5": ("cus_1", "stored")}, {}),
        ([here("5"), here("6", currency="EUR")], [there("cus_1")],
         {"5": ("cus_1", "email_and_name"), "6": ("cus_1", "email_and_name")}, {}),
        ([here("5"), here("6")], [there("cus_1", metadata=STORED)], {"5": ("cus_1", "stored")}, {}),
    ],
)  # fmt: skip
def test_who_is_who(
    books: list[Customer],
    stripe: list[Customer],
    linked: dict[str, tuple[str, str]],
    doubtful: dict[str, tuple[str, ...]],
) -> None:
    assert found(books, stripe) == (linked, doubtful)
    assert found(books[::-1], stripe[::-1]) == (linked, doubtful)


def test_what_is_settled_is_not_asked_again() -> None:
    link = Pair(customer_id="5", processor_customer_id="cus_1", currency="USD", how="person")
    assert found([here("5"), here("6")], [there("cus_1")], Known(links=(link,))) == ({}, {})
    assert found([here("5")], [there("cus_1")], Known(apart=frozenset({("5", "cus_1")}))) == ({}, {})


def test_a_merged_customer_takes_its_counterpart_along() -> None:
    link = Pair(customer_id="5", processor_customer_id="cus_1", currency="USD", how="person")
    known = Known(links=(link,), merged={"5": "6"})
    gone, survivor = replace(here("5"), active=False), here("6", "Blue Foods Group", None)
    assert found([gone, survivor], [there("cus_1")], known) == ({"6": ("cus_1", "merged")}, {})


def test_a_counterpart_that_stripe_deleted_is_one_no_more() -> None:
    link = Pair(customer_id="5", processor_customer_id="cus_0", currency="USD", how="created")
    known = Known(links=(link,), ended=frozenset({"5"}))
    assert found([here("5")], [there("cus_1")], known) == ({"5": ("cus_1", "email_and_name")}, {})
