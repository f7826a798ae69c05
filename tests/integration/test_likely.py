"""Accepting what is proposed together: only what is certain enough and fits, each once, nothing that has changed."""

import pytest

from storage import likely, search, users
from storage.search import Filter
from storage.users import User
from sync import commands, confirming
from sync.commands import NotAllowedError
from tests import laws
from tests.integration.conftest import Company, link

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def person(company: Company, role: str) -> User:
    with company.environment.database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role, role=role)
    return User(id=user_id, email=f"{role}@example.com", name=role, role=role)


def test_what_is_listed_is_accepted_and_what_changed_meanwhile_waits(company: Company) -> None:
    for number, name in enumerate(("Blue Foods", "Kestrel Optics", "Atelier Brun", "Harbour & Sons")):
        there, here = company.customer(name, f"ap@{name.split()[0].lower()}.example")
        company.invoice(here, 10_000 + number * 1_111, f"INV-{number}")
        company.pay(there, 10_000 + number * 1_111, "Thank you")
    there, here = company.customer("M. Garcia", "garcia@mail.example")
    company.invoice(here, 4_900, "INV-9")
    for _ in range(2):  # one invoice is the answer for two payments
        company.pay(there, 4_900, "Thank you")
    company.pass_time(minutes=1)
    company.sync()
    database, clock, where = company.environment.database, company.environment.clock, link(company).id
    found = likely.proposed(database, where, 999_000)
    assert sorted(each.amount_minor for each in found) == [10_000, 11_111, 12_222, 13_333]
    assert likely.proposed(database, where, 1_000_000) == []
    unlikely = [each.amount_minor for each in likely.proposed(database, where, 1)]
    assert unlikely == [each.amount_minor for each in found], "an invoice for two payments is nobody's"

    with pytest.raises(NotAllowedError):
        confirming.accept_likely(database, clock, person(company, "viewer"), where, found)
    first, *rest = found
    boss = person(company, "accountant")
    commands.ignore(database, clock, boss, where, first.source_id, "somebody was quicker", first.version)
    done = confirming.accept_likely(database, clock, person(company, "reviewer"), where, found)
    assert (len(done.decision_ids), done.left) == (3, (first.source_id,))
    again = confirming.accept_likely(database, clock, person(company, "reviewer"), where, found)
    assert (again.decision_ids, len(again.left)) == ((), 4), "the same list a second time does nothing"
    company.sync()
    assert sorted(body["TotalAmt"] * 100 for body in company.ours("Payment")) == sorted(
        each.amount_minor for each in rest
    )
    assert search.page(database, where, Filter(show="ignored")).total == 1
    laws.check(company.environment, company.stripe, company.qbo)
