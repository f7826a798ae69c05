"""The lists of a company file: read to choose from, and what is missing made in them, once, by the next visit."""

from collections import Counter
from pathlib import Path

import pytest

from emulators.clock import Rng
from emulators.qbd import Faults
from reconcile.mapping import chosen, proposal
from storage import audit, chart, fold
from storage.engine import Database
from sync import mapping
from sync.commands import NotAllowedError
from sync.qbd import reading
from tests.integration.desktop import Desktop, open_desktop

LISTS = ("Account", "Vendor", "ItemService")
LOSSES = ("crash_before", "crash_after", "error_after", "truncate")
READS = len(reading.ENTITIES) - 1  # requests of a visit before its first errand: no invoice is paid


def complete(company: Desktop) -> list[str]:
    """As the buttons of the page do; gives the names of what was asked for."""
    database, accountant = company.environment.database, company.person()
    view = chart.view(database, 1)
    proposed = {role.id: proposal(role, view.chart, view.mappings.clearing.values()) for role in view.missing}
    mapping.choose(company.environment, accountant, 1, {key: value for key, value in proposed.items() if value})
    missing = [role for role in chart.view(database, 1).missing if role.name]
    for role in missing:
        assert mapping.create(company.environment, accountant, 1, role.id)
    checking = next(key for key, each in view.chart.accounts.items() if each.name == "Checking")
    mapping.choose(company.environment, accountant, 1, {"bank:USD": checking})
    return [str(role.name) for role in missing]


def names(company: Desktop) -> Counter[str]:
    return Counter(body.get("FullName", body["Name"]).casefold() for kind in LISTS for body in company.file.all(kind))


@pytest.mark.parametrize("faults", [(), LOSSES], ids=["well", "with losses"])
def test_what_is_missing_is_made_once_and_chosen(sqlite_database: Database, tmp_path: Path, faults: list[str]) -> None:
    chance = Faults(Rng("lists"))
    with open_desktop(sqlite_database, tmp_path, chance, is_mapped=False) as company:
        company.file.add("Class", {"Name": "Online"})
        company.file.add("ItemDiscount", {"Name": "Less", "AccountRef": {"FullName": "Discounts Given"}})
        company.visit()
        view = chart.view(sqlite_database, 1)
        assert view.by_visits
        assert [each.name for each in view.chart.classes.values()] == ["Online"]
        assert {"Visa", "Check"} <= {each.name for each in view.chart.payment_methods.values()}
        assert {each.name for each in view.chart.items.values()} == {"Services", "Products"}
        with pytest.raises(NotAllowedError):
            mapping.create(company.environment, company.person("reviewer"), 1, "fee_vendor")

        before = names(company)
        asked = complete(company)
        assert {"Stripe", "Stripe refund", "Refunds owed", "Dispute losses"} <= set(asked)
        assert names(company) == before, "nothing before the visit"
        assert set(chart.view(sqlite_database, 1).asked) >= {"fee_vendor", "refund_item"}
        for fault in faults:
            chance.script = [*[""] * READS, fault]  # befalls the first errand of the visit
            company.settle(1)
            assert not chance.script
        company.settle(2)

        view = chart.view(sqlite_database, 1)
        assert not view.problems
        assert not view.asked
        assert names(company) == before + Counter({name.casefold() for name in asked})
        role = next(each for each in view.roles if each.id == "accounts:refunds_owed")
        made = view.chart.accounts[str(chosen(view.mappings, role))]
        assert (made.name, made.type) == ("Refunds owed", "Other Current Liability")
        with company.environment.database.read() as conn:
            assert audit.verify(conn) == []
            assert fold.verify(conn) == []


def test_a_name_that_something_else_has_is_refused_with_its_reason(sqlite_database: Database, tmp_path: Path) -> None:
    with open_desktop(sqlite_database, tmp_path, is_mapped=False) as company:
        company.file.add("Customer", {"Name": "Stripe"})  # customers and vendors share one list of names
        company.visit()
        accountant = company.person()
        assert mapping.create(company.environment, accountant, 1, "fee_vendor")
        company.settle(2)
        (asked,) = chart.view(sqlite_database, 1).asked.values()
        assert (asked.state, asked.problem) == ("refused", asked.problem)
        assert "this name already" in str(asked.problem)
        assert mapping.create(company.environment, accountant, 1, "fee_vendor"), "after somebody has renamed it"
        company.file.edit("Customer", company.file.named("Customer", "Stripe")["ListID"], Name="Stripe Ltd")  # type: ignore[index]
        company.settle(1)
        view = chart.view(sqlite_database, 1)
        assert [each.name for each in view.chart.vendors.values()] == ["Stripe"]
        assert view.mappings.fee_vendor in view.chart.vendors
