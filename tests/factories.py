"""A small company in a database, made with our own storage functions: enough to look at on every page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from reconcile.days import book_day
from reconcile.postings import Mappings, Policies
from reconcile.records import (
    Account,
    AccountLeg,
    Applied,
    Charge,
    Company,
    Customer,
    Dispute,
    Document,
    Fee,
    Movement,
    Named,
    Payout,
    Record,
    Refund,
)
from storage import connections, legs, mirror, openings, outbox, runs, users
from storage.engine import Database
from storage.models import outbox as outbox_table
from storage.outbox import Item
from storage.records import to_json
from storage.vault import open_vault
from sync.clock import FixedClock, SeededRng
from sync.deciding import decide
from sync.environment import Environment

ZONE = "America/New_York"
CLEARING, BANK, FEES, EQUITY = "41", "35", "60", "39"
CHART: tuple[tuple[str, str, Record], ...] = (
    ("account", CLEARING, Account(id=CLEARING, name="Stripe clearing", type="Bank", currency="USD")),
    ("account", BANK, Account(id=BANK, name="Checking", type="Bank", currency="USD")),
    ("account", FEES, Account(id=FEES, name="Stripe fees", type="Expense", currency="USD")),
    ("account", EQUITY, Account(id=EQUITY, name="Opening Balance Equity", type="Equity", currency="USD")),
    ("vendor", "9", Named(id="9", name="Stripe", currency="USD")),
    ("item", "1", Named(id="1", name="Services")),
)
NAMES = ("Northern Logistics", "Blue Foods Ltd", "M. Garcia", "Atelier Brun", "Harbour & Sons", "Kestrel Optics")
DAYS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What was made."""

    link_id: int
    processor_id: int
    ledger_id: int
    user_id: int


def seed_user(database: Database, now: datetime, token: str = "let-me-in", role: str = "admin") -> int:
    """A user with a sign-in link."""
    with database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role.capitalize(), role=role)
        users.create_sign_in_link(conn, user_id, token, now)
    return user_id


def still_environment(database: Database, data_dir: Path, now: datetime | None = None) -> Environment:
    """An installation whose clock stands."""
    clock = FixedClock() if now is None else FixedClock(now)
    return Environment(
        data_dir=data_dir, demo=False, database=database, vault=open_vault(data_dir, {}), clock=clock, rng=SeededRng()
    )


def seed_link(
    database: Database, now: datetime, *, mode: str = "emulated", posting_on: bool = True, token: str = "let-me-in"
) -> Seeded:
    """Two connections joined, nothing synced yet; and an admin."""
    user_id = seed_user(database, now, token)
    with database.write() as conn:
        stripe = connections.add_connection(
            conn, system="stripe", external_id="acct_1Tieout", name="Tideway GmbH", mode=mode, settings={}, at=now
        )
        books = connections.add_connection(
            conn, system="qbo", external_id="9341453000", name="Tideway Trading", mode=mode, settings={}, at=now
        )
        link_id = connections.add_link(
            conn,
            processor_id=stripe,
            ledger_id=books,
            name="Tideway Trading",
            cutover=book_day(now, ZONE) - timedelta(days=DAYS),
            time_zone=ZONE,
            mappings=Mappings(
                clearing={"USD": CLEARING},
                bank={"USD": BANK},
                fees={"stripe_fee": FEES},
                fee_vendor="9",
                sales_item="1",
                refund_item="1",
                opening_account=EQUITY,
            ),
            policies=Policies(),
            posting_on=posting_on,
        )
    return Seeded(link_id=link_id, processor_id=stripe, ledger_id=books, user_id=user_id)


def add_link(database: Database, seeded: Seeded, now: datetime, name: str, ledger_id: int | None = None) -> int:
    """Another Stripe account, paid into the same company or into another one; gives the link."""
    with database.write() as conn:
        stripe = connections.add_connection(
            conn, system="stripe", external_id=f"acct_{name}", name=name, mode="emulated", settings={}, at=now
        )
        return connections.add_link(
            conn,
            processor_id=stripe,
            ledger_id=ledger_id or seeded.ledger_id,
            name=name,
            cutover=book_day(now, ZONE),
            time_zone=ZONE,
            mappings=Mappings(clearing={"USD": f"clearing {name}"}),
            policies=Policies(),
            posting_on=False,
        )


def seed_company(database: Database, now: datetime) -> Seeded:
    """Forty days of charges, fees and payouts: most posted, some waiting, one refused, one sync after the other."""
    seeded = seed_link(database, now)
    world = _World(now)
    with database.write() as conn:
        _store(conn, seeded.processor_id, world.stripe, now)
        _store(conn, seeded.ledger_id, world.books, now)
        connections.change_link(conn, seeded.link_id, openings=())
    with database.write() as conn:
        link = connections.link(conn, seeded.link_id)
        found = openings.compute(conn, link, {"USD": world.balance})
        connections.change_link(conn, seeded.link_id, openings=to_json(found))
        connections.record_balances(conn, seeded.link_id, {"USD": world.balance}, now)
    clock = FixedClock(now)
    counts = decide(database, clock, seeded.link_id)
    _post(database, seeded, now)
    decide(database, clock, seeded.link_id)
    _runs(database, seeded.link_id, now, counts)
    return seeded


def add_run(database: Database, link_id: int, at: datetime, **values: Any) -> None:
    """A run that is at work: `step`, `done`, `total` and `counts` say how far."""
    with database.write() as conn:
        runs.enqueue(conn, link_id=link_id, kind="sync", cause="schedule", scheduled_for=at)
    take_run(database, at, **values)


def take_run(database: Database, at: datetime, **values: Any) -> None:
    """Takes a run from the queue, as a worker does."""
    with database.write() as conn:
        run = runs.take(conn, at, lease_s=3600)
        assert run is not None
        runs.report(conn, run, at=at, lease_s=3600, **({"step": "Starting", "counts": {}} | values))


def finish_run(database: Database, link_id: int, at: datetime, problem: str | None = None) -> None:
    """Ends the run that is at work."""
    with database.write() as conn:
        run = runs.take(conn, at + timedelta(days=1), lease_s=3600)  # its lease has run out by then
        assert run is not None
        assert run.link_id == link_id
        runs.finish(conn, run, counts=run.counts, at=at, problem=problem)


class _World:
    """What Stripe and the books hold."""

    def __init__(self, now: datetime) -> None:
        self.now, self.today = now, book_day(now, ZONE)
        self.stripe: list[tuple[str, str, Record]] = []
        self.books: list[tuple[str, str, Record]] = [
            ("company", "company", Company(id="company", name="Tideway Trading", home_currency="USD")),
            *CHART,
        ]
        for number, name in enumerate(NAMES, start=1):
            email = f"ap@{name.split()[0].lower().strip('.')}.example"
            customer = Customer(id=str(number), name=name, email=email, currency="USD")
            self.books.append(("customer", str(number), customer))
        self.balance = 812_40
        self._unpaid: list[str] = []
        for number in range(DAYS * 3):
            self._charge(number)
            if number % 9 == 8:
                self._payout(number)

    def _charge(self, number: int) -> None:
        when = self.now - timedelta(days=DAYS - 1 - number // 3, hours=2 + number % 3)
        name = NAMES[number % len(NAMES)]
        amount = 4_900 + (number * 7_919) % 180_000
        fee = 30 + amount * 29 // 1000
        charge_id, movement_id = f"ch_3Qtide{number:012}", f"txn_3Qtide{number:012}"
        case = number % 12
        text = {3: "", 7: "Order from the shop"}.get(case, f"Invoice {1000 + number}")
        charge = Charge(
            id=charge_id,
            created_at=when,
            currency="USD",
            amount_minor=amount,
            captured_minor=amount,
            refunded_minor=0,
            status="succeeded",
            movement_id=movement_id,
            payment_intent_id=f"pi_3Qtide{number:012}",
            customer_id=f"cus_{number % len(NAMES)}",
            customer_name=name,
            customer_email=f"ap@{name.split()[0].lower().strip('.')}.example",
            description=text,
        )
        self.stripe.append(("charge", charge_id, charge))
        self._move(movement_id, charge_id, "charge", when, amount, fee)
        if case == 7:
            return
        total = amount + (1_000 if case == 5 else 0)
        self._invoice(number, name, when.date() - timedelta(days=9), total)
        if case == 3:
            self._invoice(number + 5_000, name, when.date() - timedelta(days=8), total)
        if case == 10:
            self._typed_in(number, name, when.date(), amount)

    def _move(self, movement_id: str, source_id: str, category: str, when: datetime, gross: int, fee: int = 0) -> None:
        fees = (Fee(kind="stripe_fee", amount_minor=fee, description="Stripe processing fees"),) if fee else ()
        movement = Movement(
            id=movement_id,
            created_at=when,
            currency="USD",
            gross_minor=gross,
            fee_minor=fee,
            net_minor=gross - fee,
            fees=fees,
            category=category,
            type=category,
            source_id=source_id,
            status="available",
        )
        self.stripe.append(("movement", movement_id, movement))
        self.balance += gross - fee

    def _payout(self, number: int) -> None:
        when = self.now - timedelta(days=DAYS - 1 - number // 3)
        amount, payout_id = self.balance - 50_000, f"po_1Qtide{number:012}"
        arrives = when.date() + timedelta(days=2)
        payout = Payout(
            id=payout_id,
            created_at=when,
            currency="USD",
            amount_minor=amount,
            status="paid" if arrives <= self.today else "in_transit",
            arrives_on=arrives,
            automatic=True,
            movement_id=f"txn_po{number:012}",
        )
        self.stripe.append(("payout", payout_id, payout))
        self._move(f"txn_po{number:012}", payout_id, "payout", when, -amount)

    def _invoice(self, number: int, name: str, dated: date, amount: int) -> None:
        document = Document(
            id=f"invoice:{number}",
            kind="invoice",
            ledger_id=str(number),
            version="0",
            currency="USD",
            amount_minor=amount,
            open_minor=amount,
            dated=dated,
            due_date=dated + timedelta(days=30),
            customer_id=str(NAMES.index(name) + 1),
            customer_name=name,
            doc_number=str(1000 + number),
        )
        self.books.append(("invoice", document.id, document))

    def _typed_in(self, number: int, name: str, dated: date, amount: int) -> None:
        """A payment that somebody recorded by hand, without a word about Stripe."""
        document = Document(
            id=f"payment:{7000 + number}",
            kind="payment",
            ledger_id=str(7000 + number),
            version="0",
            currency="USD",
            amount_minor=amount,
            dated=dated,
            customer_id=str(NAMES.index(name) + 1),
            customer_name=name,
            memo="card payment",
            account_id=BANK,
            legs=(AccountLeg(account_id=BANK, amount_minor=amount),),
        )
        self.books.append(("payment", document.id, document))


def _store(conn: Any, connection_id: int, records: Sequence[tuple[str, str, Record]], now: datetime) -> None:
    mirror.store(conn, connection_id, [(*record, "{}") for record in records], at=now, actor="factory")


def _post(database: Database, seeded: Seeded, now: datetime) -> None:
    """Everything planned goes into the books but the newest few; one is refused."""
    with database.read() as conn:
        query = select(outbox_table.c.id).where(outbox_table.c.state == "planned").order_by(outbox_table.c.id)
        planned = [outbox.get(conn, outbox_id) for outbox_id in conn.execute(query).scalars()]
    with database.write() as conn:
        for number, item in enumerate(planned[:-4]):
            taken = outbox.claim(conn, item, request_id=f"r{number}", body="{}", at=now, search_from=now, lease_s=60)
            assert taken
            shares = [share.leg_id for share in item.posting.shares]
            if number == len(planned) - 6:
                problem = "QuickBooks refused this: the account Stripe fees was deleted. Choose another account."
                outbox.record_refused(
                    conn, item.id, item.attempt + 1, problem=problem, technical='{"code": "6540"}', nothing_written=True
                )
                legs.record_refused(conn, seeded.link_id, shares, problem)
                continue
            document = _document(item, number)
            outbox.record_posted(conn, [outbox.Written(item.id, item.attempt + 1, document.id, "0", None)], now)
            _store(conn, seeded.ledger_id, [(document.kind, document.id, document)], now)
            legs.record_posted(conn, seeded.link_id, shares)


def _document(item: Item, number: int) -> Document:
    """What the books make of a posting, as far as the clearing account goes."""
    posting = item.posting
    effect = sum(share.amount_minor for share in posting.shares) or posting.lines[0].amount_minor
    return Document(
        id=f"{posting.kind}:{20_000 + number}",
        kind=posting.kind,
        ledger_id=str(20_000 + number),
        version="0",
        currency=posting.currency,
        amount_minor=posting.amount_minor,
        dated=posting.dated,
        customer_id=posting.party_id,
        memo=posting.memo,
        marker=posting.marker,
        applied=tuple(Applied(id=part.id, amount_minor=part.amount_minor) for part in posting.applied),
        account_id=CLEARING,
        legs=(AccountLeg(account_id=CLEARING, amount_minor=effect),),
    )


def _runs(database: Database, link_id: int, now: datetime, counts: dict[str, int]) -> None:
    first = {"fetched": 312, **counts, "posted": counts["planned"] - 5}
    history: list[tuple[int, int, dict[str, int], str | None]] = [
        (180, 74, first, None),
        (
            65,
            3,
            {"fetched": 0},
            "Stripe could not be reached for a minute. The next sync goes on where this one stopped.",
        ),
        (50, 6, {"fetched": 14, "planned": 4, "posted": 4}, None),
        (20, 5, {}, None),
        (2, 4, {"fetched": 3, "waiting": 1}, None),
    ]
    with database.write() as conn:
        for minutes, seconds, done, problem in history:
            at = now.astimezone(UTC) - timedelta(minutes=minutes)
            runs.enqueue(conn, link_id=link_id, kind="sync", cause="schedule", scheduled_for=at)
            run = runs.take(conn, at, lease_s=60)
            assert run is not None
            runs.finish(conn, run, counts=done, at=at + timedelta(seconds=seconds), problem=problem)


def seed_claims(database: Database, seeded: Seeded, now: datetime) -> None:
    """A refund and a lost dispute of two of the company's charges, decided like all else."""
    number, later = 15, 27
    with database.write() as conn:
        link = connections.link(conn, seeded.link_id)
        made = _claims(now, number, later)
        _store(conn, seeded.processor_id, made, now)
        held = sum(each.net_minor for _, _, each in made if isinstance(each, Movement))
        balances = {"USD": (link.balances or {})["USD"] + held}
        connections.record_balances(conn, seeded.link_id, balances, now)
    decide(database, FixedClock(now), seeded.link_id)


def _claims(now: datetime, refunded: int, disputed: int) -> list[tuple[str, str, Record]]:
    at = now - timedelta(days=3)
    movements = (
        _taken("txn_3Qrefund", "re_3Qrefund", "refund", at, 2_500, 0),
        _taken("txn_3Qdispute", "dp_1Qdispute", "dispute", at, 4_900, 1_500),
    )
    refund = Refund(
        id="re_3Qrefund",
        created_at=at,
        currency="USD",
        amount_minor=2_500,
        status="succeeded",
        charge_id=f"ch_3Qtide{refunded:012}",
        movement_id="txn_3Qrefund",
        reason="requested_by_customer",
    )
    dispute = Dispute(
        id="dp_1Qdispute",
        created_at=at,
        currency="USD",
        amount_minor=4_900,
        status="lost",
        charge_id=f"ch_3Qtide{disputed:012}",
        movement_ids=("txn_3Qdispute",),
        reason="fraudulent",
    )
    named = [("movement", each.id, each) for each in movements]
    return [*named, ("refund", refund.id, refund), ("dispute", dispute.id, dispute)]


def _taken(movement_id: str, source_id: str, category: str, at: datetime, amount: int, fee: int) -> Movement:
    fees = (Fee(kind="stripe_fee", amount_minor=fee, description="Dispute fee"),) if fee else ()
    return Movement(
        id=movement_id,
        created_at=at,
        currency="USD",
        gross_minor=-amount,
        fee_minor=fee,
        net_minor=-amount - fee,
        fees=fees,
        category=category,
        type="adjustment" if category == "dispute" else category,
        source_id=source_id,
        status="available",
    )
