"""What documents are sorted by: the first rule that fits, on everything that belongs to the payment."""

from dataclasses import replace

import pytest

from reconcile.labels import Labels, PaymentFacts, PostingRule, choose, fits
from reconcile.postings import Policies
from reconcile.records import Customer
from tests.unit.reconcile.test_plan import MAPPINGS, charge, decide, invoice, movement, only, paid, snapshot

FACTS = PaymentFacts(
    currency="EUR",
    metadata={"site": "shop"},
    products=("prod_1",),
    text="Pro plan, yearly",
    kind="sale",
    customer="Blue Foods ap@blue.example",
    amount_minor=10_000,
)


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (PostingRule(), False),
        (PostingRule(currency="EUR"), True),
        (PostingRule(currency="USD"), False),
        (PostingRule(metadata_key="site"), True),
        (PostingRule(metadata_key="site", metadata_value="shop"), True),
        (PostingRule(metadata_key="site", metadata_value="app"), False),
        (PostingRule(metadata_key="other"), False),
        (PostingRule(product="prod_1"), True),
        (PostingRule(product="prod_"), False),
        (PostingRule(text="PRO PLAN"), True),
        (PostingRule(text="basic"), False),
        (PostingRule(currency="EUR", text="basic"), False),
        (PostingRule(currency="EUR", product="prod_1", text="pro"), True),
        (PostingRule(kind="sale"), True),
        (PostingRule(kind="refund"), False),
        (PostingRule(customer="BLUE"), True),
        (PostingRule(customer="red"), False),
        (PostingRule(least_minor=10_000, most_minor=10_000), True),
        (PostingRule(least_minor=10_001), False),
        (PostingRule(most_minor=9_999), False),
    ],
)
def test_all_conditions_of_a_rule_must_hold(rule: PostingRule, holds: bool) -> None:
    assert fits(rule, FACTS) is holds


def test_the_first_rule_that_fits_counts_and_defaults_fill_the_rest() -> None:
    rules = (
        PostingRule(currency="USD", labels=Labels(class_id="1")),
        PostingRule(text="pro", labels=Labels(class_id="2")),
        PostingRule(currency="EUR", labels=Labels(class_id="3", item_id="9")),
    )
    default = Labels(class_id="7", location_id="5")
    assert choose(rules, default, FACTS) == (Labels(class_id="2", location_id="5"), 1)
    assert choose(rules, default, replace(FACTS, currency="GBP", text="")) == (default, None)


def test_a_payment_and_its_fee_carry_the_labels_of_its_rule() -> None:
    rules = (
        PostingRule(product="prod_other", labels=Labels(class_id="no")),
        PostingRule(product="prod_1", labels=Labels(class_id="online")),
    )
    mappings = replace(MAPPINGS, labels=Labels(location_id="main", payment_method_id="card"), rules=rules)
    facts = paid(("70", 10_000))
    bought = {key: replace(each, products=("prod_1",)) for key, each in facts["processor_invoices"].items()}
    moved = [movement("txn_1", "ch_1", 10_000, 320)]
    found = decide(
        snapshot(moved, [invoice("70", 10_000)], mappings=mappings, **facts | {"processor_invoices": bought})
    )
    payment, fee = only(found, "payment"), only(found, "purchase")
    assert (payment.class_id, payment.location_id, payment.payment_method_id) == ("online", "main", "card")
    assert (fee.class_id, fee.location_id, fee.payment_method_id) == ("online", "main", None)


def test_a_rule_chooses_the_item_of_a_sale_without_an_invoice() -> None:
    rules = (PostingRule(metadata_key="site", labels=Labels(item_id="shop sale")),)
    known = invoice("70", 0, customer_email="ap@blue.example", customer_name="Blue Foods", open_minor=0)
    base = snapshot(
        [movement("txn_1", "ch_1", 10_000)],
        [known],
        mappings=replace(MAPPINGS, rules=rules),
        policies=Policies(charge_without_invoice="sales_receipt"),
        charges={"ch_1": charge(metadata={"site": "any"})},
        customers={"cus_1": Customer(id="cus_1", name="Blue Foods", email="ap@blue.example")},
    )
    assert only(decide(base), "sales_receipt").lines[0].item_id == "shop sale"
    plain = replace(base, charges={"ch_1": charge()})
    assert only(decide(plain), "sales_receipt").lines[0].item_id == "sale"


def test_what_waits_for_a_choice_says_what_is_wrong_and_where_to_choose() -> None:
    base = snapshot([movement("txn_1", "ch_1", 10_000)], [invoice("70", 10_000)], **paid(("70", 10_000)))
    broken = replace(base, mappings=replace(MAPPINGS, clearing={}), broken=("Stripe clearing was made inactive.",))
    (decision,) = decide(broken).decisions
    assert decision.detail.endswith("Stripe clearing was made inactive. Open the page Mapping.")


def test_a_rule_of_fees_chooses_their_account_and_is_the_only_kind_about_bills() -> None:
    rules = (
        PostingRule(currency="USD", labels=Labels(class_id="payments")),
        PostingRule(kind="fee", currency="USD", account_id="card costs"),
    )
    bill = replace(movement("txn_1", None, -500, category="fee"), description="Radar")
    (cost,) = decide(snapshot([bill], [], mappings=replace(MAPPINGS, rules=rules))).postings
    assert ([line.account_id for line in cost.lines], cost.class_id) == (["card costs"], None)
    moved = [movement("txn_1", "ch_1", 10_000, 320)]
    found = decide(
        snapshot(moved, [invoice("70", 10_000)], mappings=replace(MAPPINGS, rules=rules), **paid(("70", 10_000)))
    )
    fee = only(found, "purchase")
    assert (fee.class_id, fee.lines[0].account_id) == ("payments", MAPPINGS.fees["stripe_fee"]), "the first that fits"


def test_a_rule_says_what_becomes_of_a_payment_without_an_invoice() -> None:
    rules = (PostingRule(metadata_key="site", how="sales_receipt"),)
    known = invoice("70", 0, customer_email="ap@blue.example", customer_name="Blue Foods", open_minor=0)
    base = snapshot(
        [movement("txn_1", "ch_1", 10_000)],
        [known],
        mappings=replace(MAPPINGS, rules=rules),
        charges={"ch_1": charge(metadata={"site": "any"})},
        customers={"cus_1": Customer(id="cus_1", name="Blue Foods", email="ap@blue.example")},
    )
    assert only(decide(base), "sales_receipt").amount_minor == 10_000
    assert decide(replace(base, charges={"ch_1": charge()})).postings == ()
