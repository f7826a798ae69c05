"""Twelve secrets and a card number go every way there is, and are found nowhere that anybody may look."""

import base64
import contextlib
import io
import logging
import re
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from click.testing import CliRunner
from streamlit.testing.v1 import AppTest

from emulators.clock import Clock, Rng
from emulators.qbo.emulator import QboEmulator
from emulators.server import serve
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from pages import audit as audit_page
from pages.context import Context
from pages.tables import as_csv
from pages.workbook import workbook
from storage import closes, queries, users
from storage.audit_view import Filter
from storage.engine import Database
from storage.vault import FILE_NAME, Vault, VaultError
from sync import auditing, hooks, people, setup
from sync.cli import main
from sync.errors import SyncError
from sync.processes import make_worker
from tests.integration.conftest import START, HurriedClock
from tests.integration.office import Office, empty_environment, point_at
from tests.unit.pages.test_pages import PAGES, SETTINGS, own_main

CARD = "4242 4242 4242 4242"
NUMBER = re.compile(rb"(?<![0-9A-Za-z_.])(?:\d[ -]?){12,18}\d(?![0-9A-Za-z_])")
# What the stand-ins, whose servers run in this process, and the browsers of the test say of themselves is not ours.
BROWSER = "/oauth2/authorize"  # a person's own, at Intuit
OTHERS = ("uvicorn", "httpx", "httpcore", "asyncio")
__all__ = ["own_main"]


@pytest.fixture
def office(sqlite_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    clock = Clock(START)
    stripe, qbo = StripeEmulator(Store(), clock, Rng(1)), QboEmulator(Store(), clock, Rng(2))
    monkeypatch.setenv("TIEOUT_DATA_DIR", str(tmp_path))
    with serve(stripe.app) as stripe_address, serve(qbo.app) as qbo_address:
        point_at(monkeypatch, stripe_address, qbo_address)
        yield Office(empty_environment(sqlite_database, tmp_path, HurriedClock()), stripe, qbo)


def test_twelve_canaries_are_found_nowhere(
    office: Office, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets, seen = use_everything(office), dict[str, bytes]()
    seen["errors"] = "\n".join(trouble(office)).encode()
    seen["pages"] = "\n".join(drawn(office)).encode()
    seen["exports"] = b"\n".join(exported(office))
    seen["terminal"] = "\n".join(CliRunner().invoke(main, words).output for words in COMMANDS).encode()
    seen["values"] = repr([office.environment, *office.connections()]).encode()
    seen["backup"] = backup(tmp_path)
    kept = [each for each in caplog.records if not each.name.startswith(OTHERS) and BROWSER not in each.getMessage()]
    seen["log"] = "\n".join(logging.Formatter("%(name)s %(message)s").format(each) for each in kept).encode()
    seen["output"] = "".join(capfd.readouterr()).encode()
    assert len(secrets) >= 12
    assert all(len(content) > 500 for name, content in seen.items() if name != "output")
    found = [
        (name, where) for name, value in secrets.items() for where, content in seen.items() if is_in(value, content)
    ]
    assert found == []
    seen["backup"] = texts_of(tmp_path / "copy.db")  # in the file itself a time may stand right beside another one
    assert {where: numbers for where, content in seen.items() if (numbers := card_numbers(content))} == {}


def use_everything(office: Office) -> dict[str, str]:
    """Connects, pays, syncs, invites; gives every secret there is."""
    environment, owner = office.environment, office.person()
    processor_id, ledger_id = office.connect()
    paid(office)
    address = office.ask(owner, "owner-session")
    back = parse_qs(urlsplit(office.agree(address)).query)
    for secret in ("whsec_canary_before_1234", "whsec_canary_now_123456"):
        setup.change_secret(environment, owner, processor_id, secret)
    setup.change_secret(environment, owner, ledger_id, "verifier-canary-123456")
    sign_in = setup.connect_desktop(environment, owner, "Larkspur", "live")
    link = people.add(environment, owner, "ann@example.com", "Ann", "viewer")
    people.set_password(environment, owner, users.digest("owner-session"), "", "a-canary-of-a-password")
    setup.join(environment, owner, processor_id, ledger_id, START.date(), "Etc/UTC")
    worker = make_worker(environment)
    while worker.work():
        assert worker.problem is None
    key = (environment.data_dir / FILE_NAME).read_text().strip()
    return {
        "Stripe's key": office.stripe.key,
        "webhook secret": "whsec_canary_now_123456",
        "webhook secret before": "whsec_canary_before_1234",
        "Intuit's client secret": office.qbo.client_secret,
        "refresh token": str(office.secret(ledger_id, "refresh_token")),
        "access token": str(office.secret(ledger_id, "access_token")),
        "verifier token": "verifier-canary-123456",
        "state of a consent": back["state"][0],
        "code of a consent": back["code"][0],
        "Web Connector's password": sign_in.password,
        "sign-in link": link.partition("=")[2],
        "session": "owner-session",
        "password": "a-canary-of-a-password",
        "key of the vault": key,
    }


def paid(office: Office) -> None:
    """A customer who writes a card number where none belongs."""
    customer = office.stripe.request("POST", "/v1/customers", {"name": f"Ann {CARD}", "email": "ann@blue.example"})
    params = {"amount": 10_000, "currency": "usd", "customer": customer["id"], "payment_method": "pm_card_visa"}
    params |= {"confirm": True, "description": f"Card {CARD}", "metadata": {"card": CARD.replace(" ", "-")}}
    office.stripe.request("POST", "/v1/payment_intents", params)
    clock = office.stripe.office.clock
    clock.set(clock.now().replace(minute=30))
    office.stripe.tick()


def trouble(office: Office) -> Iterator[str]:
    """What is raised where an answer or a secret is wrong, as it would be logged."""
    owner = office.person()
    wrong: list[Any] = [
        lambda: setup.connect_stripe(office.environment, owner, "sk_test_no_such_key_here"),
        lambda: setup.connect_stripe(office.environment, owner, f"nonsense {office.stripe.key}"),
        lambda: setup.change_secret(office.environment, owner, 1, "no such"),
        lambda: Vault(["not a key"]),
        lambda: office.environment.vault.open("key", "1", b"gAAAA"),
        lambda: people.set_password(office.environment, owner, "s", "wrong", "short"),
        lambda: hooks.subscribe(office.environment, 1, "http://localhost:1"),
    ]
    for action in wrong:
        try:
            action()
        except (SyncError, VaultError, Exception) as error:  # noqa: BLE001 - whatever it is, it is looked at
            yield "".join(traceback.format_exception(error)) + repr(vars(error))
    office.stripe.faults.set({"truncate": 3, "reset": 2})
    office.qbo.faults.set({"error_before": 3, "truncate": 3})
    worker = make_worker(office.environment)
    worker.enqueue_now("test")
    while worker.work():
        yield str(worker.problem)


def drawn(office: Office) -> Iterator[str]:
    database, now = office.environment.database, office.environment.clock.now()
    links = queries.links(database)
    for name in PAGES | SETTINGS:
        owner = office.person()
        shown = Context(
            environment=office.environment, database=database, clock=office.environment.clock, user=owner, now=now,
            links=tuple(links), link=links[0], pulse=queries.pulse(database, links[0].id), interval_s=900,
            session=users.digest("owner-session"),
        )  # fmt: skip

        def script(render, context):  # type: ignore[no-untyped-def]
            render(context)

        test = AppTest.from_function(script, default_timeout=30, args=((PAGES | SETTINGS)[name], shown))
        test.run()
        assert not test.exception, name
        yield repr(test.main) + " ".join(element.proto.body for element in test.get("html"))


def exported(office: Office) -> Iterator[bytes]:
    environment = office.environment
    link = queries.links(environment.database)[0]
    entries = auditing.export(environment.database, environment.clock, office.person(), link.id, Filter())
    yield as_csv(audit_page.csv_frame(entries, link)).encode()
    with environment.database.read() as conn:
        pack = closes.pack(conn, link.id, environment.clock.now().date())
    if pack is not None:
        yield unzipped(workbook(pack))
    (desktop,) = [each for each in office.connections() if each.system == "qbd"]
    with contextlib.suppress(Exception):
        yield setup.qwc_file(environment, desktop.id)


def unzipped(content: bytes) -> bytes:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return b"\n".join(archive.read(name) for name in archive.namelist())


def backup(folder: Path) -> bytes:
    """A copy of the database as somebody would take it: without the file of the keys."""
    with sqlite3.connect(folder / "tieout.db") as source, sqlite3.connect(folder / "copy.db") as copy:
        source.backup(copy)
    return (folder / "copy.db").read_bytes()


def texts_of(path: Path) -> bytes:
    """Everything a database holds, each value by itself."""
    with sqlite3.connect(path) as copy:
        return "\n".join(copy.iterdump()).encode()


COMMANDS = (["status"], ["check"], ["proof"], ["trace", "ch_1"])


def is_in(value: str, content: bytes) -> bool:
    forms = {value, quote(value, safe=""), base64.b64encode(value.encode()).decode().rstrip("="), value.encode().hex()}
    return any(form.encode() in content for form in forms)


def card_numbers(content: bytes) -> list[bytes]:
    """Digits that a card may have, by where its networks begin and by their check digit."""
    found = [re.sub(rb"[ -]", b"", each) for each in NUMBER.findall(content)]
    return [
        each for each in found if 13 <= len(each) <= 19 and each[:1] in (b"2", b"3", b"4", b"5", b"6") and luhn(each)
    ]


def luhn(digits: bytes) -> bool:
    doubled = [int(chr(each)) * (2 if place % 2 else 1) for place, each in enumerate(reversed(digits))]
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


def test_the_scan_finds_what_it_is_for() -> None:
    assert card_numbers(f"a card {CARD}, once".encode()) == [b"4242424242424242"]
    assert card_numbers(b"4242424242424241 id_4242424242424242") == []
    assert is_in("s3cret/+", b"x=s3cret%2F%2B")
