"""Rules are tried without a trace, and saving them does what the trial said."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from reconcile.labels import Labels, PostingRule
from reconcile.rulebook import RuleBook
from reconcile.rules import Rules
from storage import connections, hindsight, previews
from storage.engine import Database, rehearse
from storage.models import metadata
from storage.previews import Moment
from sync import mapping, ruling
from sync.commands import NotAllowedError, RefusedError
from sync.deciding import decide
from sync.environment import Environment
from tests import laws
from tests.integration.conftest import START, Company, link
from tests.integration.office import Office
from tests.integration.test_decisions import person
from tests.integration.test_mapping import complete, rules_of, sync
from tests.integration.test_mapping import office as office  # noqa: PLC0414 - a fixture
from tests.integration.test_rows import sync_and_check
from tests.integration.test_undo import on_sqlite


def content(database: Database) -> dict[str, list[Any]]:
    """All that is stored."""
    with database.read() as conn:
        return {name: sorted(map(repr, conn.execute(select(table)))) for name, table in metadata.tables.items()}


def moment(environment: Environment, also: Any = ()) -> Moment:
    with environment.database.read() as conn:
        return previews.moment(conn, connections.link(conn, 1), also)


def test_a_month_of_business_is_decided_anew_as_the_trial_said(office: Office) -> None:
    environment, accountant = office.environment, office.person("accountant")
    sync(environment)
    complete(environment, accountant)
    abroad = office.qbo.create("Class", {"Name": "Abroad"})["Id"]
    costs = office.qbo.create("Account", {"Name": "Card costs", "AccountType": "Expense"})["Id"]
    mapping.read_chart(environment, accountant, 1)
    sync(environment)
    seen = rules_of(environment)
    book = RuleBook(
        matching=replace(seen.matching, reads_description=False, reference_fields=("order",)),
        posting=(
            PostingRule(kind="fee", currency="USD", least_minor=20_000, account_id=costs),
            PostingRule(kind="sale", how="sales_receipt", currency="USD"),
            PostingRule(kind="payment", customer="a", labels=Labels(class_id=abroad)),
        ),
    )
    with pytest.raises(NotAllowedError, match="role accountant"):
        ruling.preview_rules(environment, office.person("reviewer"), 1, book)
    stored = content(environment.database)
    said = ruling.preview_rules(environment, accountant, 1, book)
    assert content(environment.database) == stored, "a trial leaves no trace"
    assert said.unsettled.count
    assert said.otherwise.count
    assert ruling.preview_rules(environment, accountant, 1, seen).is_empty

    before = moment(environment)
    assert ruling.change_rules(environment, accountant, 1, seen, book)
    sync(environment)
    after = moment(environment, before.legs)
    with environment.database.read() as conn:
        assert previews.compare(conn, connections.link(conn, 1), before, after) == said
    assert laws.marked(office.qbo) == [], "posting is off"


def test_what_was_posted_stays_and_only_a_number_as_the_pattern_says_names_an_invoice(company: Company) -> None:
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1001")
    company.pay(stripe_customer, 10_000, "for INV-1001")
    sync_and_check(company)
    documents = {entity: company.books(entity) for entity in ("Payment", "Purchase")}
    company.invoice(customer, 5_000, "SO-2002")
    company.pay(stripe_customer, 5_000, "for SO-2002")
    company.pay(stripe_customer, 7_700, "a donation")
    environment, actor = company.environment, person(company)
    with environment.database.write() as conn:
        connections.switch_posting(conn, link(company).id, on=False)
    sync_and_check(company)
    seen = rules_of(environment)
    with pytest.raises(RefusedError, match="no pattern of a number"):
        ruling.preview_rules(environment, actor, 1, replace(seen, matching=Rules(reference_patterns=("INV-",))))
    strict = replace(seen, matching=Rules(reference_patterns=("INV-#",)))
    preview = ruling.preview_rules(environment, actor, 1, strict)
    assert (preview.settled.count, preview.unsettled.count) == (0, 2), "the payment and, with it, its fee"
    assert preview.unsettled.sums == (("USD", 5_000 - 175),)
    assert ruling.change_rules(environment, actor, 1, seen, strict)
    with environment.database.write() as conn:
        connections.switch_posting(conn, link(company).id, on=True)
    sync_and_check(company)
    assert {entity: company.books(entity) for entity in documents} == documents
    recorded = replace(seen, posting=(PostingRule(kind="sale", text="donation", how="sales_receipt"),))
    preview = ruling.preview_rules(environment, actor, 1, recorded)
    kinds = sorted(each.after.documents[0].kind for each in preview.settled.shown)
    assert kinds == ["payment", "purchase", "purchase", "sales_receipt"]
    assert ruling.change_rules(environment, actor, 1, strict, recorded)
    sync_and_check(company)
    assert (len(company.ours("Payment")), len(company.ours("Purchase"))) == (2, 3)
    assert [body["TotalAmt"] for body in company.ours("SalesReceipt")] == [77]


@on_sqlite
def test_looking_back_tells_what_rules_would_have_made_of_what_is_posted(company: Company) -> None:
    stripe_customer, customer = company.customer()
    for number, amount in (("INV-1001", 10_000), ("SO-2002", 5_000)):
        company.invoice(customer, amount, number)
        company.pay(stripe_customer, amount, f"for {number}")
    company.invoice(customer, 7_000, "INV-1003")
    company.qbo.create("Payment", {"CustomerRef": {"value": customer}, "TotalAmt": 70, "PrivateNote": "ch_typed"})
    sync_and_check(company)
    environment, actor = company.environment, person(company)
    posted = {row["marker"]: row["posting"] for row in outbox_rows(environment)}
    with rehearse(environment.database) as trial:
        with trial.write() as conn:
            leg_ids = hindsight.reopen(conn, link(company), START.date() - timedelta(days=1))
            connections.change_link(conn, 1)
        decide(trial, environment.clock, 1)
        with trial.read() as conn:
            planned = previews.moment(conn, link(company), leg_ids).planned
        assert planned == {marker: posting for marker, posting in posted.items() if "opening" not in marker}
    stored, seen = content(environment.database), rules_of(environment)
    strict = replace(seen, matching=Rules(reference_patterns=("INV-#",)))
    assert ruling.preview_rules(environment, actor, 1, strict).is_empty, "nothing is open"
    preview = ruling.look_back(environment, actor, 1, strict, 30)
    assert (preview.looked_at, preview.unsettled.count, preview.settled.count) == (4, 2, 0)
    assert {each.before.documents[0].kind for each in preview.unsettled.shown} == {"payment", "purchase"}
    assert ruling.look_back(environment, actor, 1, seen, 30).is_empty
    assert content(environment.database) == stored
    assert ruling.change_rules(environment, actor, 1, seen, strict)
    sync_and_check(company)
    assert {row["marker"]: row["posting"] for row in outbox_rows(environment)} == posted


def outbox_rows(environment: Environment) -> list[Any]:
    with environment.database.read() as conn:
        return list(conn.execute(select(metadata.tables["outbox"]).order_by("id")).mappings())
