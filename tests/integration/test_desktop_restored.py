"""A company file that was restored from an older backup: what was posted since is missed, and posted again once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from storage import audit, findings, fold
from storage.engine import Database
from storage.findings import Finding
from storage.models import audit as log
from sync import mending
from tests.integration.desktop import Desktop, open_desktop

POSTED = ("ReceivePayment", "Check")


@pytest.fixture
def company(sqlite_database: Database, tmp_path: Path) -> Iterator[Desktop]:
    with open_desktop(sqlite_database, tmp_path) as opened:
        yield opened


def test_what_an_older_backup_has_lost_is_shown_and_posted_again_once(company: Desktop) -> None:
    """The first charge is in the backup, the second is not. Nobody deleted anything, so QuickBooks tells nothing."""
    payer, customer = company.customer()
    for cents, number in ((10_000, "INV-1"), (4_200, "INV-2")):
        company.invoice(customer, cents, number)
    charge(company, payer, 10_000, "INV-1")
    company.settle(1)
    kept, older = company.markers(), company.file.backup()
    charge(company, payer, 4_200, "INV-2")
    company.settle(1)
    newer, lost = company.file.backup(), sorted(set(company.markers()) - set(kept))
    assert len(lost) == 2, "a payment and its fee"

    company.file.restore(older)
    company.settle(1)

    missed = gone(company)
    assert sorted(str(each.marker) for each in missed) == lost
    assert sorted(company.markers()) == sorted(kept), "nothing is posted again unasked"

    post_again(company, missed[0])
    company.settle(2)
    assert len(company.markers()) == len(kept) + 1
    assert [each.marker for each in gone(company)] == [missed[1].marker]

    company.file.restore(newer)  # it was only a look at an old file: both are back, and the other one was clicked
    post_again(company, missed[1])
    company.settle(2)
    counted = {kind: len(company.ours(kind)) for kind in POSTED}
    assert counted == {"ReceivePayment": 2, "Check": 2}, company.markers()
    assert lost[1] in company.markers()

    before = alarms(company)
    assert before > 0
    company.file.delete("Check", company.ours("Check")[-1]["TxnID"])  # of this QuickBooks tells
    company.settle(1)
    assert (len(gone(company)), alarms(company)) == (1, before)
    check(company)


def charge(company: Desktop, payer: str, cents: int, number: str) -> None:
    company.pay(payer, cents, f"Invoice {number}")
    company.pass_time(hours=1)


def gone(company: Desktop) -> list[Finding]:
    (link,) = company._links()
    with company.environment.database.read() as conn:
        return [each for each in findings.standing(conn, link.id) if each.code == "gone"]


def alarms(company: Desktop) -> int:
    """How often everything was read again because the company file is an older one."""
    with company.environment.database.read() as conn:
        return len(conn.execute(select(log.c.id).where(log.c.action == "older file")).all())


def post_again(company: Desktop, finding: Finding) -> None:
    (link,) = company._links()
    (offer,) = (each for each in finding.offers if each.action == "post_again")
    environment = company.environment
    mending.mend(environment.database, environment.clock, company.person(), link.id, finding.id, finding.version, offer)


def check(company: Desktop) -> None:
    with company.environment.database.read() as conn:
        assert audit.verify(conn) == []
        assert fold.verify(conn) == []
