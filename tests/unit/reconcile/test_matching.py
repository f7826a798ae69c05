"""The matcher's judgement, one situation of real books at a time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from reconcile import MatchResult, Rules, match, match_lists
from reconcile.frames import LEDGER_SCHEMA, PROCESSOR_SCHEMA, FrameError
from reconcile.matching import Allocation
from reconcile.model import Model
from reconcile.tiers.customers import ALIASES_SCHEMA

NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
ACME = {"customer_name": "Acme Inc.", "customer_email": "pay@acme.test"}


def charge(number: int, amount: int, *, to: dict[str, int | None] | None = None, **more: Any) -> dict[str, Any]:
    links = [{"target": target, "amount_minor": part} for target, part in (to or {}).items()]
    base = {"id": f"ch_{number}", "kind": "charge", "company": "c", "currency": "USD", "amount_minor": amount}
    settled = {"settled_currency": more.get("currency", "USD"), "settled_minor": amount}
    return base | settled | {"occurred_at": NOON, "links": links} | more


def invoice(number: int, is_open: int, **more: Any) -> dict[str, Any]:
    return document("invoice", number, is_open, date(2026, 1, 5), open_minor=is_open, doc_number=f"INV-{number}") | more


def document(kind: str, number: int, amount: int, on: date = date(2026, 1, 11), **more: Any) -> dict[str, Any]:
    base = {"id": f"{kind}:{number}", "kind": kind, "company": "c", "currency": "USD"}
    return base | {"amount_minor": amount, "date": on} | more


def run(processor: list[dict[str, Any]], ledger: list[dict[str, Any]]) -> MatchResult:
    return match(pl.DataFrame(processor, schema=PROCESSOR_SCHEMA), pl.DataFrame(ledger, schema=LEDGER_SCHEMA))


def only(processor: list[dict[str, Any]], ledger: list[dict[str, Any]], item: str = "ch_1") -> tuple[str, str, str]:
    verdict = run(processor, ledger).verdict(item)
    return verdict.decision, verdict.tier, verdict.code


# ---- ids


@pytest.mark.parametrize("name", ["ch_1", "pi_1"])
def test_a_document_that_carries_a_stripe_id_records_the_charge(name: str) -> None:
    processor = [charge(1, 100, to={"pi_1": None, "invoice:7": 100})]
    result = run(processor, [document("payment", 3, 100, external_ids=[name]), invoice(7, 100)])
    verdict = result.verdict("ch_1")
    assert (verdict.decision, verdict.role) == ("auto", "already_recorded")
    assert verdict.allocations == (Allocation(ledger_id="payment:3", amount_minor=100),)


def test_our_own_marker_names_one_movement_and_is_never_a_candidate_for_another() -> None:
    ours = document("payment", 3, 100, marker="txn_1:charge:r1:s1", external_ids=["ch_2"], **ACME)
    fee = document("purchase", 4, 100, marker="txn_1:fee:r1:s1")
    processor = [charge(1, 100, to={"txn_1": None}, **ACME), charge(2, 100, **ACME)]
    assert only(processor, [ours, fee]) == ("auto", "recorded", "")
    assert only(processor, [ours, fee], "ch_2") == ("none", "", "UNMATCHED_STRIPE")


def test_a_recorded_charge_of_another_amount_waits() -> None:
    decision, _, code = only([charge(1, 100)], [document("payment", 3, 90, external_ids=["ch_1"])])
    assert (decision, code) == ("proposed", "AMOUNT_DIFF")
    foreign = document("payment", 3, 100, currency="EUR", external_ids=["ch_1"])
    assert only([charge(1, 100)], [foreign])[::2] == ("proposed", "CURRENCY_DIFF")


def test_our_own_document_still_records_its_charge_after_somebody_changed_it() -> None:
    """Else it would be posted again; the difference is shown."""
    changed = document("payment", 3, 90, marker="ch_1:charge:r1:s1")
    assert only([charge(1, 100)], [changed]) == ("auto", "recorded", "AMOUNT_DIFF")


def test_a_later_step_of_ours_does_not_record_the_charge() -> None:
    cent = document("journal_entry", 3, 1, marker="ch_1:charge:r1:s2")
    assert only([charge(1, 100, to={"invoice:7": 100})], [invoice(7, 100), cent])[:2] == ("auto", "linked")
    foreign = document("payment", 3, 100, currency="EUR", external_ids=["ch_1"])
    assert only([charge(1, 100)], [foreign])[::2] == ("proposed", "CURRENCY_DIFF")


def test_a_charge_recorded_twice_waits_and_one_recorded_in_two_parts_does_not() -> None:
    def parts(*amounts: int) -> list[dict[str, Any]]:
        return [document("payment", n, amount, external_ids=["ch_1"]) for n, amount in enumerate(amounts)]

    assert only([charge(1, 100)], parts(100, 100))[::2] == ("proposed", "RECORDED_TWICE")
    assert only([charge(1, 100)], parts(60, 40))[::2] == ("auto", "")


# ---- links


def test_one_charge_pays_several_invoices_as_stripe_says() -> None:
    verdict = run([charge(1, 100, to={"invoice:7": 60, "invoice:8": 40})], [invoice(7, 60), invoice(8, 40)]).verdict(
        "ch_1"
    )
    assert verdict.decision == "auto"
    assert [(each.ledger_id, each.amount_minor) for each in verdict.allocations] == [
        ("invoice:7", 60),
        ("invoice:8", 40),
    ]


@pytest.mark.parametrize(
    ("is_open", "allocated", "code"), [(150, 100, "PARTIAL"), (100, 100, ""), (80, 80, "OVERPAID")]
)
def test_a_linked_charge_pays_what_is_open_and_says_what_differs(is_open: int, allocated: int, code: str) -> None:
    verdict = run([charge(1, 100, to={"invoice:7": None})], [invoice(7, is_open)]).verdict("ch_1")
    assert (verdict.decision, verdict.allocations[0].amount_minor, verdict.code) == ("auto", allocated, code)


def test_several_charges_share_an_invoice_only_while_it_is_open() -> None:
    def decisions(is_open: int) -> set[tuple[str, str]]:
        processor = [charge(1, 60, to={"in_7": 60}), charge(2, 60, to={"invoice:7": None})]
        result = run(processor, [invoice(7, is_open, external_ids=["in_7"])])
        return {(result.verdict(each).decision, result.verdict(each).code) for each in ("ch_1", "ch_2")}

    assert decisions(120) == {("auto", "")}
    assert decisions(119) == {("proposed", "DUPLICATE_CHARGE")}


def test_a_link_for_which_nothing_is_left_is_not_taken() -> None:
    result = run([charge(1, 100, to={"invoice:7": None, "invoice:8": 100})], [invoice(7, 100), invoice(8, 100)])
    verdict = result.verdict("ch_1")
    assert (verdict.decision, verdict.code) == ("proposed", "SPLIT_AMBIGUOUS")
    assert result.allocations["ledger_id"].to_list() == ["invoice:8"]


def test_a_reference_to_an_invoice_that_links_quarrel_about_waits() -> None:
    quarrel = [charge(1, 60, to={"invoice:7": 60}), charge(2, 60, to={"invoice:7": 60})]
    assert only([*quarrel, charge(3, 100, reference="7")], [invoice(7, 100)], "ch_3")[0] == "proposed"


def test_links_to_what_cannot_be_paid_wait_with_a_reason() -> None:
    processor = [charge(1, 100, to={"invoice:7": 100})]
    assert only(processor, [invoice(7, 0)]) == ("none", "", "OVERPAID")
    assert only(processor, [invoice(7, 100, currency="EUR")]) == ("none", "", "CURRENCY_DIFF")
    assert only([charge(1, 100, to={"invoice:7": 170})], [invoice(7, 200)])[::2] == ("proposed", "AMOUNT_DIFF")


# ---- references


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("INV-1042", {"reference": "1042"}),
        ("1042", {"reference": "inv 01042"}),
        ("INV-1042", {"description": "Payment for Invoice #1042, thanks"}),
        ("7", {"description": "pmt inv no. 7 thx"}),
        ("SO-0042", {"description": "order so 0042"}),
    ],
)
def test_a_reference_is_found_however_it_is_written(number: str, words: dict[str, str]) -> None:
    assert only([charge(1, 100, **words)], [invoice(7, 100, doc_number=number)]) == ("auto", "reference", "")


@pytest.mark.parametrize(("number", "text"), [("7", "7 seats"), ("ACME", "acme"), ("1042", "10420"), ("1042", "104 2")])
def test_a_number_that_only_happens_to_be_there_is_no_reference(number: str, text: str) -> None:
    assert only([charge(1, 100, description=text)], [invoice(7, 100, doc_number=number)])[0] == "none"


def test_a_reference_with_another_amount_is_proposed_if_the_customer_agrees() -> None:
    named = charge(1, 100, description="INV-7", **ACME)
    assert only([named], [invoice(7, 120, **ACME)]) == ("proposed", "reference_difference", "PARTIAL")
    assert only([named], [invoice(7, 80, customer_name="ACME")]) == ("proposed", "reference_difference", "OVERPAID")
    assert only([named], [invoice(7, 120, customer_name="Bob")]) == ("none", "", "WRONG_REFERENCE")
    assert only([named], [invoice(7, 0)]) == ("none", "", "OVERPAID")
    assert only([named], [invoice(7, 100, currency="EUR")]) == ("none", "", "CURRENCY_DIFF")


def test_equal_charges_on_one_reference_are_all_shown_and_none_is_taken() -> None:
    result = run([charge(1, 100, reference="7"), charge(2, 100, reference="inv-7")], [invoice(7, 100)])
    for each in ("ch_1", "ch_2"):
        assert (result.verdict(each).decision, result.verdict(each).code) == ("proposed", "DUPLICATE_CHARGE")


def test_a_second_charge_for_an_invoice_just_paid_is_named() -> None:
    result = run([charge(1, 30, reference="7"), charge(2, 100, reference="7")], [invoice(7, 100)])
    assert result.verdict("ch_2").decision == "auto"
    assert "already paid by Charge ch_2" in result.verdict("ch_1").text


def test_two_invoices_of_one_number_tie() -> None:
    twins = [invoice(7, 100, doc_number="A-1"), invoice(8, 100, doc_number="a1")]
    verdict = run([charge(1, 100, reference="A-1")], twins).verdict("ch_1")
    assert (verdict.decision, verdict.code) == ("proposed", "DUPLICATE_INVOICE")
    assert [proposal.rank for proposal in verdict.proposals] == [1, 1]


def test_a_reference_to_somebody_elses_invoice_is_not_taken() -> None:
    stranger = {"customer_name": "Bob Stone", "customer_email": "bob@stone.test"}
    assert only([charge(1, 100, reference="7", **ACME)], [invoice(7, 100, **stranger)])[::2] == (
        "proposed",
        "WRONG_REFERENCE",
    )


# ---- customer, amount and date


def test_customer_amount_and_date_propose_closest_first() -> None:
    near, far = invoice(7, 100, **ACME), invoice(8, 100, date=date(2025, 12, 1), **ACME)
    verdict = run([charge(1, 100, **ACME)], [far, near]).verdict("ch_1")
    assert verdict.decision == "proposed"
    assert [(each.rank, each.allocations[0].ledger_id) for each in verdict.proposals] == [
        (1, "invoice:7"),
        (2, "invoice:8"),
    ]
    long_ago = invoice(7, 100, date=date(2025, 10, 1), **ACME)
    assert only([charge(1, 100, **ACME)], [long_ago])[0] == "none"
    assert only([charge(1, 100, **ACME)], [invoice(7, 100, customer_name="Bob")])[0] == "none"


def test_a_payer_people_have_named_is_that_customer() -> None:
    paid = charge(1, 4_711, customer_id="cus_9", customer_name="J. Roe")
    guest = charge(2, 4_712, customer_email="Roe@home.test", customer_name="R.")
    books = [invoice(7, 4_711, customer_id="4", **ACME), invoice(8, 4_712, customer_id="4", **ACME)]
    frames = pl.DataFrame([paid, guest], schema=PROCESSOR_SCHEMA), pl.DataFrame(books, schema=LEDGER_SCHEMA)
    assert {match(*frames).verdict(each).decision for each in ("ch_1", "ch_2")} == {"none"}
    rows = [("c", "cus_9", "4"), ("c", "roe@home.test", "4"), ("d", "cus_9", "5")]
    said = pl.DataFrame(rows, schema=ALIASES_SCHEMA, orient="row")
    told = match(*frames, aliases=said)
    for each in ("ch_1", "ch_2"):
        verdict = told.verdict(each)
        assert (verdict.decision, verdict.tier, verdict.customer_id) == ("proposed", "amount", "4")
    quarrel = pl.DataFrame([*rows, ("c", "cus_9", "6")], schema=ALIASES_SCHEMA, orient="row")
    assert match(*frames, aliases=quarrel).verdict("ch_1").decision == "none"


# ---- typed in by hand


@pytest.mark.parametrize(
    ("typed", "waits"),
    [
        (document("payment", 3, 100, **ACME), True),
        (document("sales_receipt", 3, 100), True),  # no customer to tell them apart
        (document("deposit", 3, 100), True),
        (document("payment", 3, 100, customer_name="Zed Quux", customer_id="9"), False),
        (document("payment", 3, 99, **ACME), False),
        (document("payment", 3, 100, currency="EUR", **ACME), False),
        (document("payment", 3, 100, date(2026, 1, 25), **ACME), False),
        (document("payment", 3, 100, external_ids=["ch_9"], **ACME), False),
        (document("payment", 3, 100, marker="txn_9:charge:r1:s1", **ACME), False),
        (document("refund_receipt", 3, 100, **ACME), False),
    ],
)
def test_a_charge_that_may_be_typed_in_already_waits_even_with_a_link(typed: dict[str, Any], waits: bool) -> None:
    other = charge(9, 100, occurred_at=NOON - timedelta(days=80))  # what ch_9's documents record
    result = run([charge(1, 100, to={"invoice:7": 100}, **ACME), other], [invoice(7, 100, **ACME), typed])
    verdict = result.verdict("ch_1")
    assert verdict.decision == ("proposed" if waits else "auto")
    assert (verdict.code == "MAY_BE_RECORDED") == waits
    if waits:
        assert [each.role for each in verdict.proposals] == ["already_recorded", "pays_invoice"]


def test_a_certified_tier_takes_the_record_typed_in_and_frees_everybody_else() -> None:
    certified = Model().certified({"may_be_recorded": 900_000})
    books = [invoice(7, 0, **ACME), invoice(8, 4_711, customer_name="Acme Inc.")]
    typed = document("payment", 3, 4_711, NOON.date(), **ACME)

    def decided(other: dict[str, str], *more: dict[str, Any]) -> list[tuple[str, str]]:
        processor = [charge(1, 4_711, reference="7", **ACME), charge(2, 4_711, reference="8", **other)]
        left = pl.DataFrame(processor, schema=PROCESSOR_SCHEMA)
        result = match(left, pl.DataFrame([*books, typed, *more], schema=LEDGER_SCHEMA), model=certified)
        return [(result.verdict(each).decision, result.verdict(each).tier) for each in ("ch_1", "ch_2")]

    assert decided({"customer_name": "Acme Incc"}) == [("auto", "may_be_recorded"), ("auto", "reference")]
    assert decided(ACME) == [("proposed", "may_be_recorded")] * 2, "it may record either"
    twin = document("payment", 4, 4_711, NOON.date(), **ACME)
    assert decided({"customer_name": "Acme Incc"}, twin)[0] == ("proposed", "may_be_recorded")


def test_a_payment_of_the_very_invoice_is_a_candidate_whatever_its_date() -> None:
    long_ago = document("payment", 3, 100, date(2025, 6, 1), applied=[{"id": "invoice:7", "amount_minor": 100}])
    assert only([charge(1, 100, to={"invoice:7": 100})], [invoice(7, 0), long_ago])[2] == "MAY_BE_RECORDED"


def test_the_customer_of_the_named_invoice_counts_as_the_charges_customer() -> None:
    """The payer's own name says nothing; the book's customer does."""
    named = charge(1, 100, to={"invoice:7": 100}, customer_name="J. Roe")
    typed = document("payment", 3, 100, customer_id="4", customer_name="Zed Quux")
    assert only([named], [invoice(7, 100, customer_id="4"), typed])[2] == "MAY_BE_RECORDED"
    assert only([named], [invoice(7, 100, customer_id="5"), typed])[0] == "auto"


def test_refunds_and_payouts_typed_in_by_hand_wait() -> None:
    refund = charge(1, -30, id="re_1", kind="refund")
    payout = charge(1, -970, id="po_1", kind="payout")
    ledger = [document("credit_memo", 3, 30), document("transfer", 4, 970), document("payment", 5, 30)]
    assert only([refund], ledger, "re_1")[::2] == ("proposed", "MAY_BE_RECORDED")
    assert only([payout], ledger, "po_1")[::2] == ("proposed", "MAY_BE_RECORDED")
    assert only([payout], [document("transfer", 4, 970, external_ids=["po_1"])], "po_1") == ("auto", "recorded", "")
    gathered = document("deposit", 4, 970, applied=[{"id": "payment:5", "amount_minor": 970}])
    assert only([payout], [gathered], "po_1")[2] == "MAY_BE_RECORDED"
    assert only([charge(2, 970)], [gathered], "ch_2")[2] == "UNMATCHED_STRIPE"


def test_a_converted_charge_typed_in_at_its_settled_value_waits() -> None:
    converted = charge(1, 100, currency="EUR") | {"settled_currency": "USD", "settled_minor": 108}
    assert only([converted], [document("payment", 3, 108)])[2] == "MAY_BE_RECORDED"


# ---- the answer as a whole


def test_companies_never_mix() -> None:
    assert only([charge(1, 100, reference="7")], [invoice(7, 100, company="d")])[0] == "none"
    assert only([charge(1, 100)], [document("payment", 3, 100, company="d", external_ids=["ch_1"])])[0] == "none"


def test_our_document_without_its_movement_is_listed() -> None:
    result = run([charge(1, 100)], [document("payment", 3, 100, marker="txn_9:charge:r1:s1")])
    assert ("payment:3", "UNMATCHED_QBO") in result.discrepancies.select("ledger_id", "code").rows()


def test_texts_name_the_records_in_plain_words() -> None:
    verdict = run([charge(1, 100, description="INV-1042")], [invoice(1042, 100)]).verdict("ch_1")
    assert verdict.text == "Invoice INV-1042 is named in the description and its open balance equals the charge."


def test_the_certain_customer_comes_from_links_or_a_unique_email() -> None:
    people = [invoice(7, 0, customer_id="4", **ACME), invoice(8, 0, customer_id="5", customer_email="b@b.test")]
    assert run([charge(1, 1, **ACME)], people).verdict("ch_1").customer_id == "4"
    twice = [*people, invoice(9, 0, customer_id="6", **ACME)]
    assert run([charge(1, 1, **ACME)], twice).verdict("ch_1").customer_id is None
    linked = charge(2, 5, to={"invoice:8": 5}, customer_id="cus_1")
    assert run([charge(1, 1, customer_id="cus_1", **ACME), linked], people).verdict("ch_1").customer_id == "5"


def test_evidence_sums_to_what_ranks_a_candidate() -> None:
    result = run([charge(1, 100, **ACME)], [invoice(7, 100, **ACME)])
    assert result.evidence["weight"].sum() == result.verdicts.answers["weight"].item()
    assert {"amount", "customer name", "customer e-mail", "date"} <= set(result.evidence["field"])


def test_bare_frames_are_enough_and_wrong_ones_are_refused() -> None:
    bare = pl.DataFrame([charge(1, 100)]).select("id", "kind", "company", "currency", "amount_minor", "occurred_at")
    books = pl.LazyFrame([document("payment", 3, 100)])
    assert match(bare, books).verdict("ch_1").code == "MAY_BE_RECORDED"
    with pytest.raises(FrameError, match="lacks company"):
        match(bare.drop("company"), books)
    with pytest.raises(FrameError, match="twice"):
        match(pl.concat([bare, bare]), books)


@pytest.mark.parametrize(
    ("rules", "tier"),
    [
        (Rules(), "reference"),
        (Rules(reference_patterns=("inv-#", "SO #")), "reference"),
        (Rules(reference_patterns=("PO-#",)), ""),
        (Rules(reads_description=False), ""),
    ],
)
def test_rules_say_what_names_an_invoice(rules: Rules, tier: str) -> None:
    paid = pl.DataFrame([charge(1, 100, description="for INV-1042, thanks")])
    books = pl.DataFrame([invoice(7, 100, doc_number="INV-1042")])
    answer = match(paid, books, rules).verdict("ch_1")
    assert (answer.proposals[0].tier if answer.proposals else "") == tier


def test_a_certified_tier_that_is_to_propose_only_takes_nothing() -> None:
    model = Model().certified({"amount": 1})
    paid, books = pl.DataFrame([charge(1, 100, **ACME)]), pl.DataFrame([invoice(7, 100, **ACME)])
    found = [
        match(paid, books, rules, model=model).verdict("ch_1") for rules in (Rules(), Rules(only_propose=("amount",)))
    ]
    assert [each.decision for each in found] == ["auto", "proposed"]


def test_digests_change_with_the_block_they_are_of() -> None:
    processor = [charge(1, 100), charge(2, 100, currency="EUR")]
    before, after = run(processor, []), run(processor, [invoice(7, 100)])
    assert before.block_digests["c", "USD"] != after.block_digests["c", "USD"]
    assert before.block_digests["c", "EUR"] == after.block_digests["c", "EUR"]
    assert Rules().version != Rules(record_days_after=15).version


def test_two_bare_lists_match_with_probabilities_that_share() -> None:
    left = pl.DataFrame(
        {"id": ["a", "b"], "date": [NOON.date()] * 2, "amount_minor": [100, 70], "text": ["Acme", None]}
    )
    right = pl.DataFrame(
        {
            "id": ["x", "y", "z"],
            "date": [NOON.date()] * 3,
            "amount_minor": [100, 70, 70],
            "text": ["ACME Inc", None, None],
        }
    )
    pairs = {(row["left_id"], row["right_id"]): row for row in match_lists(left, right).to_dicts()}
    assert pairs["a", "x"]["probability"] > 0.99
    assert pairs["b", "y"]["probability"] == pairs["b", "z"]["probability"] < 0.5
    assert pairs["b", "y"]["rank"] == pairs["b", "z"]["rank"] == 1
