"""What may fill each role of a link, and what is wrong with what does."""

from dataclasses import replace

import pytest

from reconcile.labels import Labels
from reconcile.mapping import Chart, chosen, problems, propose, roles, usable, with_choice
from reconcile.postings import Mappings
from reconcile.records import Account, Named, TaxCode, TaxRate
from reconcile.taxes import levies


def account(id_: str, name: str, type_: str = "Bank", currency: str = "USD", *, active: bool = True) -> Account:
    return Account(id=id_, name=name, type=type_, currency=currency, active=active)


ACCOUNTS = (
    account("1", "Checking"),
    account("2", "Stripe clearing"),
    account("3", "Stripe fees", "Expense"),
    account("4", "Opening Balance Equity", "Equity"),
    account("5", "Disputes receivable", "Other Current Asset"),
    account("6", "Dispute losses", "Expense"),
    account("7", "Dispute fees", "Expense"),
    account("8", "Stripe reserve", "Other Current Asset"),
    account("9", "Refunds owed", "Other Current Liability"),
    account("10", "Yen account", currency="JPY"),
    account("11", "Accounts Receivable", "Accounts Receivable"),
    account("12", "Office", "Expense"),
)
CHART = Chart(
    home_currency="USD",
    accounts={each.id: each for each in ACCOUNTS},
    items={"1": Named(id="1", name="Stripe sale"), "2": Named(id="2", name="Stripe refund")},
    vendors={"1": Named(id="1", name="Stripe", currency="USD")},
    classes={"1": Named(id="1", name="Online", active=False)},
)
WHOLE = propose(Mappings(), CHART)


def test_what_has_the_right_name_is_proposed_and_is_all_that_is_needed() -> None:
    assert WHOLE.clearing == {"USD": "2"}
    assert WHOLE.bank == {"USD": "1"}, "the only other bank account of that currency"
    assert set(WHOLE.fees) == {"stripe_fee", "payment_method_passthrough_fee", "tax"}
    assert problems(WHOLE, CHART) == []
    assert all(each.missing for each in problems(Mappings(), CHART))
    two = replace(CHART, accounts={**CHART.accounts, "13": account("13", "Savings")})
    assert propose(Mappings(), two).bank == {}, "of two banks a person chooses"


VAT = levies(
    [
        TaxCode(id="5", name="20.0% S", taxable=True, sales=("1",), purchases=("1",)),
        TaxCode(id="6", name="20.0% RC SG", taxable=True, purchases=("1", "2")),
        TaxCode(id="7", name="Exempt", taxable=True, sales=("3",), purchases=("3",)),
        TaxCode(id="8", name="No VAT", taxable=True, sales=("3",), purchases=("3",)),
        TaxCode(id="9", name="No VAT (old)", taxable=True, purchases=("3",), active=False),
    ],
    [TaxRate(id=number, name=number, percent=percent) for number, percent in (("1", "20"), ("2", "-20"), ("3", "0"))],
)


def test_with_input_tax_every_kind_of_fee_and_document_has_a_code_which_a_person_chooses_for_fees() -> None:
    found = propose(WHOLE, replace(CHART, tax_codes=VAT))
    assert found.sales_tax_code == "5"
    assert set(found.tax_codes.items()) == {(kind, "7") for kind in ("invoice", "sales_receipt", "refund_receipt")}
    assert found.fee_tax_codes == dict.fromkeys(("tax", "tax_fee", "withheld_tax"), "8")
    assert [each.role.id for each in problems(found, replace(CHART, tax_codes=VAT))] == [
        "fee_tax_codes:stripe_fee",
        "fee_tax_codes:payment_method_passthrough_fee",
    ]


def test_sales_tax_alone_asks_for_one_code_at_most() -> None:
    sales = {key: replace(each, reclaims=False) for key, each in VAT.items()}
    asked = [role for role in roles(WHOLE, replace(CHART, tax_codes=sales)) if role.entity == "tax_code"]
    assert [(role.id, role.needed) for role in asked] == [("sales_tax_code", False)]


def test_dinars_need_an_account_for_rounding() -> None:
    assert problems(WHOLE, CHART, ["USD"]) == []
    needed = {each.role.id for each in problems(WHOLE, CHART, ["KWD"])}
    assert "accounts:rounding" in needed


@pytest.mark.parametrize(
    ("mappings", "words"),
    [
        (replace(WHOLE, clearing={"USD": "99"}), "does not exist"),
        (replace(WHOLE, clearing={"USD": "12"}), "is of type Expense; this takes Bank"),
        (replace(WHOLE, clearing={"USD": "10"}), "is kept in JPY; this takes USD"),
        (replace(WHOLE, bank={"USD": "2"}), "is the clearing account, which stands for the Stripe balance alone"),
        (replace(WHOLE, opening_account="11"), "whose entries need a name each"),
        (replace(WHOLE, opening_account="2"), "is the clearing account"),
        (replace(WHOLE, labels=Labels(class_id="1")), "was made inactive"),
        (replace(WHOLE, fee_vendor="7"), "does not exist"),
    ],
)
def test_what_does_not_fit_is_named(mappings: Mappings, words: str) -> None:
    (problem,) = problems(mappings, CHART)
    assert words in problem.text
    assert not problem.missing


def test_no_two_links_share_a_clearing_account() -> None:
    (problem,) = problems(WHOLE, CHART, taken=["2"])
    assert "another Stripe account" in problem.text
    assert propose(Mappings(), CHART, taken=["2"]).clearing == {}


def test_what_cannot_be_used_is_left_out_but_for_labels() -> None:
    broken = replace(WHOLE, clearing={"USD": "12"}, labels=Labels(class_id="1"))
    left = usable(broken, problems(broken, CHART))
    assert left == replace(broken, clearing={})


def test_every_role_can_be_chosen_and_taken_back() -> None:
    for role in roles(Mappings(), replace(CHART, tax_codes=VAT), ["EUR", "KWD"]):
        assert chosen(Mappings(), role) is None
        filled = with_choice(Mappings(), role, "x")
        assert chosen(filled, role) == "x"
        assert with_choice(filled, role, None) == Mappings()
