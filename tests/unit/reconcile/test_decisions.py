"""What a person decides binds the matcher, for as long as it can be carried out."""

from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest

from reconcile import MatchResult, match
from reconcile.decisions import DECISIONS_SCHEMA
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, FrameError

ACME = {"customer_name": "Acme Inc.", "customer_email": "pay@acme.test"}
DAY = date(2026, 1, 10)


def charge(number: int, amount: int, **more: Any) -> dict[str, Any]:
    base = {"id": f"ch_{number}", "kind": "charge", "company": "c", "currency": "USD", "amount_minor": amount}
    return base | {"occurred_at": datetime(2026, 1, 10, 12, tzinfo=UTC)} | more


def document(kind: str, number: int, amount: int, **more: Any) -> dict[str, Any]:
    base = {"id": f"{kind}:{number}", "kind": kind, "company": "c", "currency": "USD", "amount_minor": amount}
    is_open = {"open_minor": amount, "doc_number": f"INV-{number}"} if kind == "invoice" else {}
    return base | {"date": DAY} | is_open | more


def run(processor: list[Any], ledger: list[Any], *decisions: tuple[Any, ...]) -> MatchResult:
    return match(
        pl.DataFrame(processor, schema=PROCESSOR_SCHEMA),
        pl.DataFrame(ledger, schema=LEDGER_SCHEMA),
        decisions=pl.DataFrame([(*each, None)[:4] for each in decisions], schema=DECISIONS_SCHEMA, orient="row"),
    )


def test_a_link_a_person_made_is_taken_whatever_else_fits() -> None:
    processor = [charge(1, 100, reference="INV-7", **ACME)]
    ledger = [document("invoice", 7, 100, **ACME), document("invoice", 8, 130), document("payment", 9, 100, **ACME)]
    verdict = run(processor, ledger, ("MUST_LINK", "ch_1", "invoice:8")).verdict("ch_1")
    assert (verdict.decision, verdict.tier, verdict.role) == ("auto", "decided", "pays_invoice")
    assert [(each.ledger_id, each.amount_minor) for each in verdict.allocations] == [("invoice:8", 100)]
    confirmed = run(processor, ledger, ("MUST_LINK", "ch_1", "payment:9")).verdict("ch_1")
    assert (confirmed.decision, confirmed.role) == ("auto", "already_recorded")


def test_an_invoice_a_person_gave_away_is_not_given_again() -> None:
    processor = [charge(1, 100), charge(2, 100, reference="INV-7"), charge(3, 100, links=[link("invoice:7")])]
    result = run(processor, [document("invoice", 7, 100)], ("MUST_LINK", "ch_1", "invoice:7"))
    assert {each: result.verdict(each).decision for each in ("ch_1", "ch_2", "ch_3")} == {
        "ch_1": "auto",
        "ch_2": "none",
        "ch_3": "none",
    }


def link(target: str) -> dict[str, Any]:
    return {"target": target, "amount_minor": None}


@pytest.mark.parametrize(
    "ledger",
    [
        [],
        [document("invoice", 7, 0)],
        [document("invoice", 7, 100, currency="EUR")],
        [document("invoice", 7, 100), document("payment", 8, 100, external_ids=["ch_1"])],
    ],
)
def test_a_link_that_cannot_be_any_more_waits_with_its_reason(ledger: list[Any]) -> None:
    verdict = run([charge(1, 100, reference="INV-7")], ledger, ("MUST_LINK", "ch_1", "invoice:7")).verdict("ch_1")
    assert verdict.decision != "auto" or verdict.tier == "recorded"
    assert "STALE_DECISION" in [each.code for each in verdict.discrepancies]


@pytest.mark.parametrize(
    "more", [{"reference": "INV-7"}, {"links": [link("invoice:7")]}, {"description": "x", **ACME}, {"links": []}]
)
def test_not_these_two_lasts_in_every_tier(more: dict[str, Any]) -> None:
    ledger = [
        document("invoice", 7, 100, **ACME),
        document("payment", 8, 100, **ACME),
        document("payment", 9, 100, external_ids=["ch_1"]),
    ]
    never = [("CANNOT_LINK", "ch_1", each["id"]) for each in ledger]
    result = run([charge(1, 100, **more)], ledger, *never)
    assert result.allocations.is_empty()
    assert result.verdict("ch_1").decision == "none"


def test_our_own_document_records_its_charge_even_if_somebody_unlinks_it() -> None:
    """Else the charge would be posted a second time; voiding the document is what undoes it."""
    ours = [document("payment", 8, 100, marker="ch_1:charge:r1:s1")]
    for said in (
        ("CANNOT_LINK", "ch_1", "payment:8"),
        ("ACCEPTED_UNMATCHED", "ch_1", None),
        ("IGNORE", None, "payment:8"),
    ):
        assert run([charge(1, 100)], ours, said).verdict("ch_1").tier == "recorded"


def test_what_was_accepted_as_unmatched_or_ignored_stays_out() -> None:
    processor, ledger = [charge(1, 100, reference="INV-7", **ACME)], [document("invoice", 7, 100, **ACME)]
    unmatched = run(processor, ledger, ("ACCEPTED_UNMATCHED", "ch_1", None)).verdict("ch_1")
    assert (unmatched.decision, unmatched.code) == ("none", "")
    ignored = run(processor, ledger, ("IGNORE", "ch_1", None)).verdict("ch_1")
    assert (ignored.decision, ignored.code) == ("none", "IGNORED")
    typed = [*ledger, document("payment", 8, 100, **ACME)]
    assert run(processor, typed).verdict("ch_1").decision == "proposed"
    another = run(processor, typed, ("ACCEPTED_UNMATCHED", None, "payment:8")).verdict("ch_1")
    assert (another.decision, another.tier) == ("auto", "reference")


def test_an_id_that_turns_up_after_the_decision_brings_the_item_back() -> None:
    later = [document("payment", 8, 100, external_ids=["ch_1"])]
    verdict = run([charge(1, 100)], later, ("ACCEPTED_UNMATCHED", "ch_1", None)).verdict("ch_1")
    assert (verdict.decision, verdict.code) == ("proposed", "STALE_DECISION")


def test_decisions_nobody_can_read_are_refused() -> None:
    with pytest.raises(FrameError, match="MAYBE"):
        run([charge(1, 100)], [], ("MAYBE", "ch_1", None))
    with pytest.raises(FrameError, match="lacks one of its ids"):
        run([charge(1, 100)], [], ("MUST_LINK", "ch_1", None))
