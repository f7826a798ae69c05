"""A world on the stand-ins, exported as people export it, imported, and tied out without any connection."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from emulators.truth import ChargeTruth
from emulators.world import World, open_world
from storage import audit, connections, fold, imports, mirror, queries, review, users
from storage.engine import Database, open_database
from storage.imports import Import
from storage.migrate import migrate
from storage.models import legs as leg_table
from storage.models import matches as match_table
from storage.vault import open_vault
from sync import commands
from sync.cli import main
from sync.clock import FixedClock, SystemRng
from sync.commands import Answers, NotAllowedError, RefusedError
from sync.demo import connect_announced
from sync.environment import Environment
from sync.processes import make_worker
from tests import factories
from tests.exports import BooksReports, StripeReports, csv_of, xlsx_of

NOW = datetime(2026, 11, 18, 16, 20, tzinfo=UTC)
ARRIVED = NOW + timedelta(days=5)
CLEARING, RECEIVABLE = "Stripe clearing", "Accounts Receivable (A/R)"
ANSWERS = Answers(company="Blue Foods")


@dataclass
class Desk:
    """An installation that nothing is connected to, and a person who imports files into it."""

    environment: Environment
    user: users.User

    def take(self, name: str, content: str | bytes, answers: Answers = ANSWERS) -> Import:
        body = content.encode() if isinstance(content, str) else content
        return commands.import_report(self.environment.database, self.environment.clock, self.user, name, body, answers)

    def work(self) -> None:
        worker, runs = make_worker(self.environment), 0
        while worker.work():
            assert worker.problem is None
            runs += 1
        assert runs, "something was asked for"
        assert isinstance(self.environment.clock, FixedClock)
        self.environment.clock.advance(60)  # one run an instant: the next one is later

    @property
    def link(self) -> connections.Link:
        with self.environment.database.read() as conn:
            return connections.all_links(conn)[0]

    def legs(self) -> dict[str, Any]:
        with self.environment.database.read() as conn:
            return {row.id: row for row in conn.execute(select(leg_table))}

    def tie_out(self) -> queries.TieOut:
        """Through the day on which all payouts have arrived: in reports they leave the balance only then."""
        found = queries.tie_out(self.environment.database, self.link.id, ARRIVED)
        assert found is not None
        return found


def desk(database: Database, folder: Path) -> Desk:
    user_id = factories.seed_user(database, NOW)
    environment = Environment(
        data_dir=folder, demo=False, database=database, vault=open_vault(folder), clock=FixedClock(NOW), rng=SystemRng()
    )
    return Desk(environment, users.User(id=user_id, email="admin@example.com", name="Admin", role="admin"))


@pytest.fixture
def office(sqlite_database: Database, tmp_path: Path) -> Desk:
    return desk(sqlite_database, tmp_path)


@dataclass
class Pair:
    """A world, Tieout connected to it, and the reports of both sides since the cut-over."""

    world: World
    connected: Desk
    stripe: StripeReports
    books: BooksReports

    def export(self, office: Desk) -> list[Import]:
        files: list[tuple[str, str | bytes]] = [
            ("balance.csv", self.stripe.balance()),
            ("payouts.csv", self.stripe.payouts_report()),
            ("summary.csv", self.stripe.summary()),
            ("invoices.csv", self.books.invoices()),
            ("clearing.xlsx", xlsx_of(self.books.detail(CLEARING, RECEIVABLE))),
        ]
        return [office.take(name, content) for name, content in files]


def pair(folder: Path, *, posting: bool) -> Iterator[Pair]:
    """One world; what Tieout decides of it through the APIs, and posts if it may."""
    database = open_database(None, data_dir=folder)
    migrate(database)
    with open_world(3, 1, 40, until=NOW) as world:
        connected = desk(database, folder)
        connect_announced(connected.environment, world.announcement, hooks_address=None)
        with database.write() as conn:
            connections.switch_posting(conn, connected.link.id, posting)
        for _ in range(2):
            make_worker(connected.environment).enqueue_now("test")
            connected.work()
        cutover = date.fromisoformat(world.truth.cutover)
        yield Pair(world, connected, StripeReports(world.stripe, "America/New_York", cutover),
                   BooksReports(world.qbo, cutover))  # fmt: skip


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    yield from pair(tmp_path_factory.mktemp("before"), posting=False)


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    yield from pair(tmp_path_factory.mktemp("after"), posting=True)


def invoices_of(desk: Desk, source_id: str) -> set[str]:
    """The numbers of the invoices that were decided to be paid by a charge."""
    with desk.environment.database.read() as conn:
        rows = conn.execute(
            select(match_table.c.allocations).where(
                match_table.c.source_id == source_id, match_table.c.decision == "auto"
            )
        )
        ids = {part["ledger_id"] for row in rows for part in row.allocations}
        found = mirror.load(conn, desk.link.ledger_id, "invoice", ids)
    return {document.doc_number for document in found.values()}


def expected(charge: ChargeTruth) -> set[str]:
    return {paid.doc_number for paid in charge.pays}


def test_what_files_tell_is_decided_as_through_the_apis(before: Pair, office: Desk) -> None:
    """Never an invoice that the truth does not know; and where number and amount are in the files, the same one."""
    done = before.export(office)
    assert [each.counts["refused"] for each in done] == [0] * 5
    office.work()
    agreed = 0
    for charge in before.world.truth.charges:
        found = invoices_of(office, charge.id)
        assert found <= expected(charge), charge
        if found:
            assert found == invoices_of(before.connected, charge.id)
            agreed += 1
        elif charge.category in ("linked", "reference") and len(expected(charge)) == 1:
            (leg,) = [row for row in office.legs().values() if row.source_id == charge.id and row.kind == "gross"]
            assert leg.reason in ("proposed", "PARTIAL", "OVERPAID"), "what the files leave open is asked"
    assert agreed >= 15
    same = {row.reason for row in office.legs().values() if row.markers}
    assert same == {"to_record"}, "nothing is said to be posted"


def test_the_proof_from_files_is_the_proof_from_the_apis(after: Pair, office: Desk) -> None:
    """All was posted through the APIs; the exports alone show the same balances and the same difference."""
    after.export(office)
    office.work()
    mine, theirs = office.tie_out(), after.connected.tie_out()
    assert not mine.violations
    last = [
        each.proof.days.filter(pl.col("currency") == "USD", pl.col("day") == ARRIVED.date())
        .select("stripe_minor", "clearing_minor", "difference_minor", "unexplained_minor")
        .row(0)
        for each in (mine, theirs)
    ]
    assert last[0] == last[1]
    assert last[0][3] == 0
    theirs_settled = {row.source_id for row in after.connected.legs().values() if row.state in ("posted", "matched")}
    for row in office.legs().values():
        if row.currency == "USD" and row.source_id in theirs_settled and row.state == "waiting":
            assert row.reason in ("waits_with_charge", "to_record"), row
            assert row.category == "charge"
    with office.environment.database.read() as conn:
        assert audit.verify(conn) == []
        assert fold.verify(conn) == []


def test_the_same_files_again_change_nothing(before: Pair, database: Database, tmp_path: Path) -> None:
    office = desk(database, tmp_path)
    before.export(office)
    office.work()
    revision, legs = office.link.revision, office.legs()
    again = before.export(office)
    assert [each.counts["new"] + each.counts["changed"] for each in again] == [0] * 5
    office.work()
    assert office.link.revision == revision
    assert office.legs() == legs


def test_overlapping_and_other_reports_of_the_same_entries_merge(before: Pair, office: Desk) -> None:
    """The payout reconciliation knows each payout from its rows, the payouts report by itself: it is one payout."""
    office.take("reconciliation.csv", before.stripe.reconciliation())
    before_payouts = queries_of(office, "payout")
    done = office.take("payouts.csv", before.stripe.payouts_report())
    assert not done.problems, "both come to the same amounts"
    again = office.take("balance.csv", before.stripe.balance())
    assert not again.problems
    assert again.counts["unchanged"] > 20
    assert before_payouts <= queries_of(office, "payout")
    movements = queries_of(office, "movement")
    assert len({each for each in movements if each.startswith("po_")}) == len(queries_of(office, "payout"))


def test_what_is_still_missing_is_said(before: Pair, office: Desk) -> None:
    def lacking() -> tuple[str, ...]:
        return imports.lacking(office.environment.database, office.link.id)

    office.take("balance.csv", before.stripe.balance())
    assert lacking() == ("payouts", "books", "clearing")
    office.take("payouts.csv", before.stripe.payouts_report())
    office.take("clearing.xlsx", xlsx_of(before.books.detail(CLEARING)))
    assert lacking() == ("start",)
    office.take("summary.csv", before.stripe.summary())
    assert lacking() == ()


def queries_of(desk: Desk, kind: str) -> set[str]:
    with desk.environment.database.read() as conn:
        return {each.id for each in mirror.load_all(conn, desk.link.processor_id, [kind])}


HEAD = ["balance_transaction_id", "created_utc", "currency", "gross", "fee", "net", "reporting_category", "source_id"]
CHARGE = ["txn_1", "2026-11-02 15:00:00", "usd", "100.00", "3.20", "96.80", "charge", "ch_1"]
INVOICES = ["Date", "Transaction Type", "Num", "Name", "Amount", "Open Balance"]


def test_an_edited_entry_is_refused_and_the_first_one_stays(office: Desk) -> None:
    office.take("a.csv", csv_of(HEAD, [CHARGE]))
    done = office.take("b.csv", csv_of(HEAD, [[*CHARGE[:3], "90.00", "3.20", "86.80", *CHARGE[6:]]]))
    (problem,) = done.problems
    assert "one of the two was edited" in problem.text
    assert office.link.balances == {"USD": 9680}


def test_what_a_newer_report_lists_no_more_is_kept_and_said_unless_it_is_complete(office: Desk) -> None:
    rows = [[f"2026-11-0{n}", "Invoice", f"{n}", "A", "10.00", "10.00"] for n in (1, 2, 3)]
    office.take("stripe.csv", csv_of(HEAD, [CHARGE]))
    office.take("old.csv", csv_of(INVOICES, rows))
    done = office.take("new.csv", csv_of(INVOICES, [rows[0], rows[2]]))
    assert "1 documents of earlier files" in done.notes[0]
    complete = Answers(company="Blue Foods", is_complete=True)
    done = office.take("new.csv", csv_of(INVOICES, [rows[0], rows[2]]), complete)
    assert done.counts["taken_out"] == 1
    with office.environment.database.read() as conn:
        left = mirror.load_all(conn, office.link.ledger_id, ["invoice"])
    assert sorted(each.doc_number for each in left) == ["1", "3"]


def test_a_partial_capture_pays_what_was_captured(office: Desk) -> None:
    head = [*HEAD, "charge_id"]
    office.take("one.csv", csv_of(head, [[*CHARGE, "ch_1"]]))
    back = ["txn_2", "2026-11-03 15:00:00", "usd", "-40.00", "0", "-40.00", "partial_capture_reversal", "re_1", "ch_1"]
    office.take("two.csv", csv_of(head, [back]))
    office.take("one.csv", csv_of(head, [[*CHARGE, "ch_1"]]))
    with office.environment.database.read() as conn:
        charge = mirror.load(conn, office.link.processor_id, "charge", ["ch_1"])["ch_1"]
    assert (charge.amount_minor, charge.captured_minor) == (10000, 6000)


def test_files_come_in_any_order_and_a_file_taken_half_way_is_simply_taken_again(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(company="Blue Foods", currency="USD")
    office.take("invoices.csv", csv_of(INVOICES, [["2026-11-05", "Invoice", "1", "A", "100.00", "100.00"]]), answers)
    monkeypatch.setattr("sync.files.importing.STEP", 4)
    rows = [[f"txn_{n}", *CHARGE[1:-1], f"ch_{n}"] for n in range(9)]
    monkeypatch.setattr("sync.files.importing.books.arrange", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        office.take("balance.csv", csv_of(HEAD, rows))
    monkeypatch.undo()
    done = office.take("balance.csv", csv_of(HEAD, rows))
    assert (done.counts["unchanged"], done.counts["new"]) == (9, 0)
    assert office.link.balances == {"USD": 9 * 9680}
    assert office.link.cutover == date(2026, 11, 2)


def test_a_person_confirms_what_was_typed_in_and_the_next_report_shows_what_was_recorded(office: Desk) -> None:
    """A payment without an id waits for a yes; one that waited to be recorded is found by its id once it is."""
    database, clock = office.environment.database, office.environment.clock
    charges = [[*CHARGE, "A", "Invoice 1"], ["txn_2", *CHARGE[1:-1], "ch_2Abcdefgh", "B", "Invoice 2"]]
    office.take("balance.csv", csv_of([*HEAD, "customer_name", "description"], charges))
    invoices = [
        ["2026-11-01", "Invoice", number, name, "100.00", "100.00"] for number, name in (("1", "A"), ("2", "B"))
    ]
    office.take("invoices.csv", csv_of(INVOICES, invoices))
    detail = ["Date", "Transaction Type", "Num", "Name", "Memo/Description", "Distribution account", "Amount"]
    typed = ["2026-11-02", "Payment", "", "A", "card", CLEARING, "100.00"]
    office.take("clearing.csv", csv_of(detail, [typed]))
    office.work()
    legs = office.legs()
    assert (legs["txn_1:gross"].reason, legs["txn_2:gross"].reason) == ("MAY_BE_RECORDED", "to_record")
    shown = review.detail(database, office.link.id, "ch_1")
    assert shown is not None
    with database.read() as conn:
        match_id = conn.execute(select(match_table.c.id).where(match_table.c.role == "already_recorded")).scalar_one()
    commands.accept_match(database, clock, office.user, office.link.id, "ch_1", match_id, shown.version)
    recorded = ["2026-11-03", "Payment", "", "B", "ch_2Abcdefgh", CLEARING, "100.00"]
    done = office.take("clearing.csv", csv_of(detail, [typed, recorded]))
    assert (done.counts["new"], done.counts["unchanged"]) == (1, 1)
    office.work()
    legs = office.legs()
    assert {legs[f"txn_{n}:gross"].state for n in (1, 2)} == {"matched"}
    assert office.tie_out().items_of("USD")["reason"].unique().to_list() == ["to_record"], "only the fees are left"


def test_only_an_accountant_imports_and_nothing_can_be_posted(office: Desk) -> None:
    with office.environment.database.write() as conn:
        viewer_id = users.ensure_user(conn, email="v@example.com", name="V", role="viewer")
    viewer = users.User(id=viewer_id, email="v@example.com", name="V", role="admin")  # what the browser says
    with pytest.raises(NotAllowedError):
        Desk(office.environment, viewer).take("a.csv", csv_of(HEAD, [CHARGE]))
    office.take("a.csv", csv_of(HEAD, [CHARGE]))
    with pytest.raises(RefusedError, match="nothing can be written"):
        commands.switch_posting(
            office.environment.database, office.environment.clock, office.user, office.link.id, True
        )


def test_the_demo_takes_no_files(before: Pair) -> None:
    with pytest.raises(RefusedError, match="This is the demo"):
        before.connected.take("a.csv", csv_of(HEAD, [CHARGE]))


def test_the_example_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`tieout import` in the terminal, with the files that are in the repository."""
    examples = Path(__file__).parents[2] / "docs" / "examples"
    monkeypatch.setenv("TIEOUT_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    files = [
        "--stripe",
        str(examples / "payout_reconciliation.csv"),
        "--quickbooks",
        str(examples / "transactions.xlsx"),
    ]
    result = CliRunner().invoke(main, ["import", *files])
    assert result.exit_code == 0, result.output
    assert "0 refused" in result.output
    assert "Matched." in result.output
    shown = CliRunner().invoke(main, ["proof"])
    assert "USD: Stripe" in shown.output
