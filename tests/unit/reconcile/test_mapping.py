"""What may fill each role of a link, and what is wrong with what does."""

from dataclasses import replace

import pytest

from reconcile.labels import Labels
from reconcile.mapping import Chart, chosen, problems, propose, roles, usable, with_choice
from reconcile.postings import Mappings
from reconcile.records import Account, Named


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
    for role in roles(Mappings(), CHART, ["EUR"]):
        assert chosen(Mappings(), role) is None
        filled = with_choice(Mappings(), role, "x")
        assert chosen(filled, role) == "x"
        assert with_choice(filled, role, None) == Mappings()
