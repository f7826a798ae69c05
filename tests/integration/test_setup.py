"""Connecting through the pages' own commands and routes: who may, which answer counts, and what is kept of it."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from sqlalchemy import select
from starlette.testclient import TestClient

from emulators.clock import Clock, Rng
from emulators.qbo.emulator import QboEmulator
from emulators.server import serve
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from storage import audit, connections
from storage.engine import Database
from storage.models import audit as audit_table
from storage.models import consents
from sync import callback, hooks, setup
from sync.commands import NotAllowedError, RefusedError
from sync.processes import make_worker
from tests.integration.conftest import START, HurriedClock
from tests.integration.office import ORIGIN, Office, empty_environment, point_at


@pytest.fixture
def office(sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    clock = Clock(START)
    stripe, qbo = StripeEmulator(Store(), clock, Rng(1)), QboEmulator(Store(), clock, Rng(2))
    with serve(stripe.app) as stripe_address, serve(qbo.app) as qbo_address:
        point_at(monkeypatch, stripe_address, qbo_address)
        yield Office(empty_environment(sqlite_database, tmp_path, HurriedClock()), stripe, qbo)


def outcome(office: Office) -> Any:
    with office.environment.database.read() as conn:
        return conn.execute(select(consents).order_by(consents.c.id.desc())).first()


def test_an_answer_counts_once_and_only_in_the_session_that_asked(office: Office) -> None:
    owner, other = office.person(), office.person("manager")
    mine, theirs = office.browser(owner, "mine"), office.browser(other, "theirs")
    back = office.agree(office.ask(owner, "mine"))
    forged = back.replace("state=", "state=x")
    assert mine.get(forged).status_code == 400
    assert mine.get(back.partition("&state")[0].partition("?")[0]).status_code == 400  # no answer at all
    assert theirs.get(back).status_code == 400
    another = office.browser(owner, "same-person-elsewhere")
    assert another.get(back).status_code == 400
    assert TestClient(mine.app, base_url=ORIGIN).get(back).status_code == 401  # not signed in
    assert office.connections() == []

    answer = mine.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, callback.BACK)
    (company,) = office.connections()
    assert (company.external_id, company.name, company.mode) == (office.qbo.realm_id, "Acme Incorporated", "emulated")
    assert mine.get(back).status_code == 400, "it was used"

    late = office.agree(office.ask(owner, "mine"))
    office.environment.clock.sleep(timedelta(minutes=21).total_seconds())
    assert mine.get(late).status_code == 400


def test_another_company_is_refused_and_nothing_changes(office: Office) -> None:
    _, ledger_id = office.connect()
    accountant = office.person("accountant")
    browser = office.browser(accountant, "desk")
    before = office.secret(ledger_id, "refresh_token")
    path = office.agree(office.ask(accountant, "desk", client=None, connection_id=ledger_id))
    elsewhere = path.replace(f"realmId={office.qbo.realm_id}", "realmId=999")
    assert browser.get(elsewhere).status_code == 303
    assert "You chose another company (id 999)" in outcome(office).problem
    assert office.secret(ledger_id, "refresh_token") == before


def test_a_lie_about_the_company_opens_nothing(office: Office) -> None:
    owner = office.person()
    browser = office.browser(owner, "s")
    lie = office.agree(office.ask(owner, "s")).replace(f"realmId={office.qbo.realm_id}", "realmId=999")
    assert browser.get(lie).status_code == 303
    assert "does not open" in outcome(office).problem
    assert office.connections() == []


def test_the_same_company_opened_again_keeps_its_history(office: Office) -> None:
    processor_id, ledger_id = office.connect()
    accountant = office.person("accountant")
    browser = office.browser(accountant, "desk")
    office.qbo.oauth.revoke(str(office.secret(ledger_id, "refresh_token")))
    with office.environment.database.write() as conn:
        connections.set_state(conn, ledger_id, "reconnect", "refused", office.environment.clock.now())
    path = office.agree(office.ask(accountant, "desk", client=None, connection_id=ledger_id))
    assert browser.get(path).status_code == 303
    with office.environment.database.read() as conn:
        company = connections.connection(conn, ledger_id)
        rows = conn.execute(select(audit_table.c.actor, audit_table.c.action).order_by(audit_table.c.id)).all()
        assert audit.verify(conn) == []
    assert (company.state, company.problem) == ("ready", None)
    assert office.qbo.oauth.valid(str(office.secret(ledger_id, "access_token")))
    assert [tuple(row) for row in rows] == [
        ("admin@example.com", "connected"),
        ("admin@example.com", "connected"),
        ("accountant@example.com", "connected again"),
    ]
    assert processor_id != ledger_id


def test_a_no_at_intuit_changes_nothing(office: Office) -> None:
    owner = office.person()
    answer = requests.get(f"{office.ask(owner, 's')}&auto=1&deny=1", allow_redirects=False, timeout=10)
    assert office.browser(owner, "s").get(answer.headers["location"]).status_code == 303
    assert "gave no consent" in outcome(office).problem


def test_only_some_roles_connect(office: Office) -> None:
    processor_id, ledger_id = office.connect()
    environment = office.environment
    for role in ("viewer", "reviewer", "accountant", "manager"):
        person = office.person(role)
        for action in (
            lambda who: setup.connect_stripe(environment, who, office.stripe.key),
            lambda who: setup.replace_key(environment, who, processor_id, office.stripe.key),
            lambda who: setup.change_secret(environment, who, processor_id, "whsec_x"),
            lambda who: setup.disconnect(environment, who, ledger_id),
            lambda who: office.ask(who, "s"),
            lambda who: setup.join(environment, who, processor_id, ledger_id, START.date(), "Etc/UTC"),
        ):
            with pytest.raises(NotAllowedError):
                action(person)
    with pytest.raises(NotAllowedError):
        office.ask(office.person("reviewer"), "s", connection_id=ledger_id)


def test_a_key_of_stripe_is_replaced_only_by_one_of_the_same_account(office: Office) -> None:
    processor_id, _ = office.connect()
    owner = office.person()
    with pytest.raises(RefusedError, match="sk_ or rk_"):
        setup.replace_key(office.environment, owner, processor_id, "pk_live_1")
    with pytest.raises(RefusedError, match="Stripe refused the key"):
        setup.replace_key(office.environment, owner, processor_id, "sk_test_wrong")
    assert office.secret(processor_id, "key") == office.stripe.key
    with office.environment.database.write() as conn:
        conn.execute(connections.connections.update().values(external_id="acct_other"))
    with pytest.raises(RefusedError, match="another account"):
        setup.replace_key(office.environment, owner, processor_id, office.stripe.key)


def test_two_webhook_secrets_are_valid_while_one_is_changed(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    processor_id, _ = office.connect()
    owner, environment = office.person(), office.environment
    with pytest.raises(RefusedError, match="TIEOUT_URL"):
        setup.create_webhook(environment, owner, processor_id)
    monkeypatch.setenv("TIEOUT_HOOKS", "http://127.0.0.1:1")
    for _ in range(2):
        assert setup.create_webhook(environment, owner, processor_id)
    (endpoint,) = office.stripe.office.store.find("webhook_endpoint")
    assert endpoint["url"] == f"http://127.0.0.1:1/webhooks/stripe/{processor_id}"

    def valid() -> list[str]:
        with environment.database.read() as conn:
            return hooks.valid_secrets(conn, environment.vault, processor_id, environment.clock.now())

    assert valid()[0] == endpoint["_secret"]
    assert len(valid()) == 2
    assert setup.change_secret(environment, owner, processor_id, " whsec_pasted ")
    assert not setup.change_secret(environment, owner, processor_id, "whsec_pasted")
    assert valid() == ["whsec_pasted", endpoint["_secret"]]
    office.environment.clock.sleep(hooks.OVERLAP.total_seconds())
    assert valid() == ["whsec_pasted"]
    setup.change_secret(environment, owner, processor_id, "whsec_next")
    assert setup.retire_secret(environment, owner, processor_id)
    assert valid() == ["whsec_next"]
    assert not setup.retire_secret(environment, owner, processor_id)


def test_who_disconnects_ends_the_access_and_keeps_the_history(office: Office) -> None:
    processor_id, ledger_id = office.connect()
    owner, environment = office.person(), office.environment
    link_id = setup.join(environment, owner, processor_id, ledger_id, START.date(), "America/New_York")
    token = str(office.secret(ledger_id, "access_token"))
    assert office.qbo.oauth.valid(token)
    assert setup.disconnect(environment, owner, ledger_id)
    assert not office.qbo.oauth.valid(token)
    assert office.secret(ledger_id, "refresh_token") is None
    assert not setup.disconnect(environment, owner, ledger_id)
    worker = make_worker(environment)
    assert worker.work(), "the first sync was asked for"
    assert worker.problem is not None
    assert "Disconnected by admin@example.com" in worker.problem
    with environment.database.read() as conn:
        assert not connections.link(conn, link_id).posting_on
    assert (
        office.browser(owner, "o")
        .get(office.agree(office.ask(owner, "o", client=None, connection_id=ledger_id)))
        .status_code
        == 303
    )
    assert setup.disconnect(environment, owner, processor_id)
    assert office.secret(processor_id, "key") is None
    setup.connect_stripe(environment, owner, office.stripe.key)
    worker.enqueue_now("test")
    assert worker.work()
    assert worker.problem is None, worker.problem


def test_modes_are_never_mixed_and_an_account_has_one_company(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    processor_id, ledger_id = office.connect()
    owner, environment = office.person(), office.environment
    with environment.database.write() as conn:
        live = connections.add_connection(
            conn, system="qbo", external_id="1", name="Real", mode="live", settings={}, at=environment.clock.now()
        )
    with pytest.raises(RefusedError, match="cannot be joined to a live company"):
        setup.join(environment, owner, processor_id, live, START.date(), "Etc/UTC")
    for wrong, words in ((("2999-01-01", "Etc/UTC"), "begun already"), (("2026-01-01", "Mars"), "time zone")):
        day = START.date().fromisoformat(wrong[0])
        with pytest.raises(RefusedError, match=words):
            setup.join(environment, owner, processor_id, ledger_id, day, wrong[1])
    setup.join(environment, owner, processor_id, ledger_id, START.date(), "Etc/UTC")
    with pytest.raises(RefusedError, match="joined to Acme Incorporated already"):
        setup.join(environment, owner, processor_id, ledger_id, START.date(), "Etc/UTC")
    monkeypatch.delenv("TIEOUT_INTUIT")
    with pytest.raises(Exception, match="never mixed"):
        environment.stand_ins()


def test_no_secret_is_in_a_log_or_the_audit(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    processor_id, ledger_id = office.connect()
    address = office.ask(office.person(), "s", client=None)
    state = parse_qs(urlsplit(address).query)["state"][0]
    secrets = [office.stripe.key, office.qbo.client_secret, state]
    secrets += [str(office.secret(ledger_id, name)) for name in ("refresh_token", "access_token")]
    tables = (audit_table, consents, connections.connections)
    with office.environment.database.read() as conn:
        texts = [str(tuple(row)) for table in tables for row in conn.execute(select(table))]
    others = ("urllib3", "httpx2", "uvicorn")
    texts += [each.getMessage() for each in caplog.records if not each.name.startswith(others)]
    for secret in secrets:
        assert not [text for text in texts if secret in text]
    assert processor_id
