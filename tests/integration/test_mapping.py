"""From an empty installation to books that tie out: chosen, looked at, switched on, posted."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from emulators.world import open_world
from reconcile.labels import Labels, PostingRule
from reconcile.mapping import proposal
from reconcile.rulebook import RuleBook
from storage import chart, connections, dry_run
from storage.engine import Database
from storage.users import User
from sync import commands, mapping, ruling, setup
from sync.commands import NotAllowedError, RefusedError
from sync.environment import Environment
from sync.processes import make_worker
from tests import laws
from tests.integration.conftest import HurriedClock
from tests.integration.office import Office, empty_environment, point_at


@pytest.fixture
def office(sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """A month of business, both sides connected and joined, nothing chosen yet."""
    with open_world(5, 1, 30) as world:
        books = world.announcement["quickbooks"]
        point_at(monkeypatch, world.announcement["stripe"]["api"], books["api"].removesuffix("/v3"))
        office = Office(empty_environment(sqlite_database, tmp_path, HurriedClock()), world.stripe, world.qbo)
        processor_id, ledger_id = office.connect()
        cutover = date.fromisoformat(world.announcement["cutover"])
        setup.join(office.environment, office.person(), processor_id, ledger_id, cutover, "America/New_York")
        yield office


def sync(environment: Environment) -> dict[str, int]:
    """Every run that was asked for."""
    worker, counts = make_worker(environment), {}
    while worker.work():
        assert worker.problem is None, worker.problem
        counts = worker.counts
    return counts


def complete(environment: Environment, accountant: User) -> None:
    """As the buttons of the page do: takes what is proposed, creates the rest, and chooses the bank."""
    view = chart.view(environment.database, 1)
    proposed = {role.id: proposal(role, view.chart, view.mappings.clearing.values()) for role in view.missing}
    mapping.choose(environment, accountant, 1, {key: value for key, value in proposed.items() if value})
    for role in chart.view(environment.database, 1).missing:
        if role.name:
            mapping.create(environment, accountant, 1, role.id)
    checking = next(key for key, each in view.chart.accounts.items() if each.name == "Checking")
    mapping.choose(environment, accountant, 1, {"bank:USD": checking})


def test_the_dry_run_writes_nothing_and_is_what_is_posted_then(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    environment, accountant = office.environment, office.person("accountant")
    written: list[str] = []
    for name in ("write", "batch"):
        real = getattr(office.qbo.api, name)
        monkeypatch.setattr(
            office.qbo.api, name, lambda *given, real=real, name=name: (written.append(name), real(*given))[1]
        )
    answer = office.stripe.answer
    monkeypatch.setattr(
        office.stripe,
        "answer",
        lambda method, *given: (written.append(method) if method != "GET" else None, answer(method, *given))[1],
    )
    sync(environment)
    assert {each.name for each in dry_run.waiting(environment.database, 1)} >= {"unmapped_account"}
    assert written == [], "a link that was just joined only reads"

    complete(environment, accountant)
    assert chart.count_problems(environment.database, 1) == 0
    made, written[:] = len(written), []
    assert made > 0, "what was missing was created on request"
    with pytest.raises(RefusedError, match="dry run first"):
        commands.switch_posting(environment.database, environment.clock, accountant, 1, True)
    sync(environment)
    sums = dry_run.planned(environment.database, 1)
    shown = dry_run.documents(environment.database, 1, kind=None, number=1, size=1_000)
    assert commands.open_dry_run(environment.database, environment.clock, accountant, 1)
    assert written == []
    assert sum(each.count for each in sums) == len(shown) > 30
    assert laws.marked(office.qbo) == []
    opening_counts_what_is_there(office)

    assert commands.switch_posting(environment.database, environment.clock, accountant, 1, True)
    office.environment.clock.sleep(1)
    with environment.database.write() as conn:
        connections.change_link(conn, 1)
    make_worker(environment).enqueue_now("test")
    sync(environment)
    assert {marker for _, marker in laws.marked(office.qbo)} == {each.marker for each in shown}
    laws.check(environment, office.stripe, office.qbo)


def rules_of(environment: Environment) -> RuleBook:
    with environment.database.read() as conn:
        link = connections.link(conn, 1)
    return ruling.book_of(link.mappings, link.policies)


def opening_counts_what_is_there(office: Office) -> None:
    """At the first sync no clearing account was chosen yet; the one chosen since held something."""
    with office.environment.database.read() as conn:
        link = connections.link(conn, 1)
    clearing = office.qbo.account("Stripe clearing")["Id"]
    held = office.qbo.account_balance(clearing, link.cutover - timedelta(days=1))
    (opening,) = [each for each in link.openings or () if each.currency == "USD"]
    assert opening.existing_minor == held != 0


def test_a_broken_choice_makes_what_needs_it_wait_and_says_so(office: Office) -> None:
    environment, accountant = office.environment, office.person("accountant")
    sync(environment)
    complete(environment, accountant)
    sync(environment)
    fees = office.qbo.account("Stripe fees")
    office.qbo.update("Account", {"Id": fees["Id"], "SyncToken": fees["SyncToken"], "sparse": True, "Active": False})
    office.environment.clock.sleep(1)
    make_worker(environment).enqueue_now("test")
    sync(environment)
    assert not [each for each in dry_run.planned(environment.database, 1) if each.name == "purchase"]
    details = {row["detail"] for row in laws.waiting_legs(environment) if row["reason"] == "unmapped_account"}
    assert any("“Stripe fees” was made inactive in QuickBooks. " in each for each in details)
    assert all(each.endswith("Open the page Mapping.") for each in details)

    new = office.qbo.create("Account", {"Name": "Card costs", "AccountType": "Expense"})["Id"]
    assert mapping.read_chart(environment, accountant, 1)
    with pytest.raises(RefusedError, match="does not exist"):
        mapping.choose(environment, accountant, 1, {"fees:stripe_fee": "987"})
    names = ("stripe_fee", "payment_method_passthrough_fee", "tax")
    assert mapping.choose(environment, accountant, 1, {f"fees:{name}": new for name in names})
    assert not mapping.choose(environment, accountant, 1, {"fees:stripe_fee": new}), "as it is already"
    sync(environment)
    assert [each for each in dry_run.planned(environment.database, 1) if each.name == "purchase"]


def test_classes_and_locations_reach_the_books_by_rule(office: Office) -> None:
    environment, accountant = office.environment, office.person("accountant")
    sync(environment)
    complete(environment, accountant)
    online = office.qbo.create("Class", {"Name": "Online"})["Id"]
    abroad = office.qbo.create("Class", {"Name": "Abroad"})["Id"]
    main = office.qbo.create("Department", {"Name": "Main Street"})["Id"]
    card = office.qbo.create("PaymentMethod", {"Name": "Card"})["Id"]
    mapping.read_chart(environment, accountant, 1)
    defaults = {"labels:class_id": online, "labels:location_id": main, "labels:payment_method_id": card}
    assert mapping.choose(environment, accountant, 1, defaults)
    seen = rules_of(environment)
    for rule, words in (
        (PostingRule(labels=Labels(class_id=abroad)), "no condition"),
        (PostingRule(text="x"), "nothing"),
        (PostingRule(least_minor=1, how="wait"), "without a currency"),
    ):
        with pytest.raises(RefusedError, match=words):
            ruling.change_rules(environment, accountant, 1, seen, replace(seen, posting=(rule,)))
    book = replace(seen, posting=(PostingRule(currency="EUR", labels=Labels(class_id=abroad)),))
    assert ruling.change_rules(environment, accountant, 1, seen, book)
    with pytest.raises(RefusedError, match="Somebody changed the rules"):
        ruling.change_rules(environment, accountant, 1, seen, seen)
    sync(environment)
    shown = dry_run.documents(environment.database, 1, kind="payment", number=1, size=1_000)
    assert {"class Abroad", "class Online"} <= {label for each in shown for label in each.labels}
    with environment.database.write() as conn:
        connections.switch_posting(conn, 1, on=True)
        connections.change_link(conn, 1)
    make_worker(environment).enqueue_now("test")
    sync(environment)
    laws.check(environment, office.stripe, office.qbo)
    payments = _ours(office, "Payment")
    assert {(body["DepartmentRef"]["value"], body["PaymentMethodRef"]["value"]) for body in payments} == {(main, card)}
    fees = [line["AccountBasedExpenseLineDetail"] for body in _ours(office, "Purchase") for line in body["Line"]]
    assert {each["ClassRef"]["value"] for each in fees} == {online, abroad}
    clearing_account_stays(office, accountant)


def clearing_account_stays(office: Office, accountant: User) -> None:
    """Once documents are in it; and nobody below an accountant chooses anything."""
    environment = office.environment
    view = chart.view(environment.database, 1)
    savings = next(key for key, each in view.chart.accounts.items() if each.name == "Savings")
    with pytest.raises(RefusedError, match="the clearing account stays the same"):
        mapping.choose(environment, accountant, 1, {"clearing:USD": savings})
    with pytest.raises(NotAllowedError):
        mapping.choose(environment, office.person("reviewer"), 1, {"bank:USD": savings})
    change = partial(mapping.change_policy, environment, accountant, 1)
    assert change("charge_without_invoice", "sales_receipt")
    assert not change("charge_without_invoice", "sales_receipt")
    with pytest.raises(RefusedError, match="no such choice"):
        change("sending", "send")  # has a dry run of its own


def _ours(office: Office, entity: str) -> list[dict[str, Any]]:
    found = office.qbo.query(f"SELECT * FROM {entity} MAXRESULTS 1000").get(entity, [])
    return [body for body in found if "[tieout " in body.get("PrivateNote", "")]
