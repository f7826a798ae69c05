"""`tieout connect`: both sides opened by a person, with Intuit's consent page in between."""

import threading
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from emulators.world import open_world
from storage import connections
from sync import consent
from sync.cli import main
from sync.environment import open_environment
from sync.processes import free_port, make_worker
from tests import laws


def say_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who opens the page that is printed and presses the button."""

    def visit(client: object, state: str) -> str:
        address = real(client, state)
        threading.Thread(target=lambda: requests.get(f"{address}&auto=1", timeout=10)).start()
        return address

    real = consent.consent_address
    monkeypatch.setattr(consent, "consent_address", visit)


def test_a_person_connects_and_nothing_is_posted_before_they_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEOUT_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("TIEOUT_DEMO", raising=False)
    monkeypatch.setattr(consent, "PORT", free_port(8650))
    say_yes(monkeypatch)
    with open_world(5, 1, 20) as world:
        announced = world.announcement
        books = announced["quickbooks"]
        answers = [announced["stripe"]["key"], books["client_id"], books["client_secret"], announced["cutover"], "y"]
        monkeypatch.setenv("TIEOUT_STRIPE_API", announced["stripe"]["api"])
        monkeypatch.setenv("TIEOUT_INTUIT", books["api"].removesuffix("/v3"))
        done = CliRunner().invoke(main, ["connect"], input="\n".join(answers) + "\n")
        assert done.exit_code == 0, done.output
        assert announced["stripe"]["key"] not in done.output
        assert books["client_secret"] not in done.output

        environment = open_environment()
        with environment.database.write() as conn:
            connections.set_state(conn, 1, "reconnect", "Connect to QuickBooks again.", environment.clock.now())
            connections.store_secret(conn, environment.vault, 1, "refresh_token", "old", environment.clock.now())
        again = CliRunner().invoke(main, ["connect"], input="\n".join(answers[:3]) + "\n")
        assert again.exit_code == 0, again.output
        assert "Connected again" in again.output

        worker = make_worker(environment)
        worker.enqueue_now("test")
        assert worker.work()
        assert worker.problem is None
        assert worker.counts["planned"] > 0
        assert worker.counts.get("posted", 0) == 0
        with environment.database.read() as conn:
            (link,) = connections.all_links(conn)
            sides = connections.all_connections(conn)
        assert [(side.mode, side.state) for side in sides] == [("emulated", "ready")] * 2
        assert link.name == books["company_name"]
        assert not link.posting_on

        with environment.database.write() as conn:
            connections.switch_posting(conn, link.id, on=True)
        customer = world.qbo.query("SELECT * FROM Customer MAXRESULTS 1")["Customer"][0]["Id"]
        world.qbo.create("Customer", {"DisplayName": f"Another than {customer}"})  # so that all is decided anew
        worker.enqueue_now("test")
        assert worker.work()
        laws.check(environment, world.stripe, world.qbo)
        kinds = {marker.split(":")[1] for _, marker in laws.marked(world.qbo)}
        assert {"charge", "fee", "payout", "opening-usd"} <= kinds
