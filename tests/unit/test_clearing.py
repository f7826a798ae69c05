"""What documents that somebody else made do to the clearing account, and which legs that belongs to."""

from datetime import date
from types import SimpleNamespace
from typing import Any

from reconcile.records import Account, AccountLeg, Document
from storage.clearing import effects
from storage.proof import _matched_effects

CLEARING = {"41": Account(id="41", name="Stripe clearing", type="Bank", currency="USD")}


def deposit(amount: int, currency: str = "USD", rate: str | None = None) -> Document:
    return Document(
        id="deposit:9",
        kind="deposit",
        ledger_id="9",
        version="0",
        currency=currency,
        amount_minor=amount,
        dated=date(2026, 9, 14),
        legs=(AccountLeg(account_id="41", amount_minor=amount), AccountLeg(account_id="4", amount_minor=-amount)),
        exchange_rate=rate,
    )


def leg(leg_id: str, amount: int) -> Any:
    return SimpleNamespace(
        id=leg_id,
        state="matched",
        reason="already_recorded",
        currency="USD",
        amount_minor=amount,
        document_ids=["deposit:9"],
    )


def test_a_foreign_document_counts_in_the_currency_of_the_account() -> None:
    assert effects(deposit(10_000), CLEARING) == {"41": 10_000}
    assert effects(deposit(10_000, "EUR", "1.08"), CLEARING) == {"41": 10_800}
    assert effects(deposit(10_000, "JPY", "0.0067"), CLEARING) == {"41": 6_700}


def test_a_document_of_several_legs_is_divided_among_them() -> None:
    legs = [leg("txn_1:gross", 6_000), leg("txn_2:gross", 4_000)]
    for amount, parts in ((10_000, [6_000, 4_000]), (9_700, [5_820, 3_880]), (0, [0, 0])):
        found = _matched_effects(legs, {"deposit:9": deposit(amount)}, CLEARING, {"USD": "41"})
        assert [found[each.id, "deposit:9"] for each in legs] == parts
