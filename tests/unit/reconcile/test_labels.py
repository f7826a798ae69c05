"""What documents are sorted by: the first rule that fits, on everything that belongs to the payment."""

from dataclasses import replace

import pytest

from reconcile.labels import LabelRule, Labels, PaymentFacts, choose, fits
from reconcile.postings import Policies
from reconcile.records import Customer
from tests.unit.reconcile.test_plan import MAPPINGS, charge, decide, invoice, movement, only, paid, snapshot

FACTS = PaymentFacts(currency="EUR", metadata={"site": "shop"}, products=("prod_1",), text="Pro plan, yearly")


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (LabelRule(), False),
        (LabelRule(currency="EUR"), True),
        (LabelRule(currency="USD"), False),
        (LabelRule(metadata_key="site"), True),
        (LabelRule(metadata_key="site", metadata_value="shop"), True),
        (LabelRule(metadata_key="site", metadata_value="app"), False),
        (LabelRule(metadata_key="other"), False),
        (LabelRule(product="prod_1"), True),
        (LabelRule(product="prod_"), False),
        (LabelRule(text="PRO PLAN"), True),
        (LabelRule(text="basic"), False),
        (LabelRule(currency="EUR", text="basic"), False),
        (LabelRule(currency="EUR", product="prod_1", text="pro"), True),
    ],
)
def test_all_conditions_of_a_rule_must_hold(rule: LabelRule, holds: bool) -> None:
    assert fits(rule, FACTS) is holds


def test_the_first_rule_that_fits_counts_and_defaults_fill_the_rest() -> None:
    rules = (
        LabelRule(currency="USD", labels=Labels(class_id="1")),
        LabelRule(text="pro", labels=Labels(class_id="2")),
        LabelRule(currency="EUR", labels=Labels(class_id="3", item_id="9")),
    )
    default = Labels(class_id="7", location_id="5")
    assert choose(rules, default, FACTS) == (Labels(class_id="2", location_id="5"), 1)
    assert choose(rules, default, replace(FACTS, currency="GBP", text="")) == (default, None)


def test_a_payment_and_its_fee_carry_the_labels_of_its_rule() -> None:
    rules = (
        LabelRule(product="prod_other", labels=Labels(class_id="no")),
        LabelRule(product="prod_1", labels=Labels(class_id="online")),
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
    rules = (LabelRule(metadata_key="site", labels=Labels(item_id="shop sale")),)
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
