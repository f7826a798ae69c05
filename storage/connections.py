"""Connections, the links that join them, and their secrets."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection as Conn
from sqlalchemy import Row, bindparam, select, update

from reconcile.postings import Mappings, Policies
from reconcile.snapshot import Opening
from storage.engine import upsert
from storage.models import connections, links, secrets
from storage.records import from_json, to_json
from storage.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Credentials to one Stripe account or one company; the secrets themselves stay in the vault."""

    id: int
    system: str
    external_id: str
    name: str
    mode: str
    settings: dict[str, Any]
    state: str
    problem: str | None
    consent_ends_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One Stripe account joined to one company, with the accountant's choices."""

    id: int
    processor_id: int
    ledger_id: int
    name: str
    cutover: date
    time_zone: str
    mappings: Mappings
    policies: Policies
    posting_on: bool
    dry_run_by: str | None
    dry_run_at: datetime | None
    revision: int
    decided_revision: int
    model: str | None  # as reconcile.model writes it
    openings: tuple[Opening, ...] | None
    balances: dict[str, int]
    balances_at: datetime | None


def add_connection(
    conn: Conn, *, system: str, external_id: str, name: str, mode: str, settings: dict[str, Any], at: datetime
) -> int:
    """A new connection, ready for use. Raises IntegrityError if the account or company is connected already."""
    row = conn.execute(
        connections.insert().values(
            system=system,
            external_id=external_id,
            name=name,
            mode=mode,
            settings=settings,
            state="ready",
            checked_at=at,
        )
    )
    return int(row.inserted_primary_key[0])  # type: ignore[index]


def connection(conn: Conn, connection_id: int) -> Connection:
    return _connection(conn.execute(_SELECT_CONNECTION, {"this": connection_id}).one())


# What is asked at every step of every sync is made once: making a statement anew takes longer than its answer.
_SELECT_CONNECTION = select(connections).where(connections.c.id == bindparam("this"))
_SELECT_LINK = select(links).where(links.c.id == bindparam("this"))
_SELECT_REVISION = select(links.c.revision).where(links.c.id == bindparam("this"))
_SELECT_LINKS = select(links).order_by(links.c.id)
_LOCK_LINKS = select(links.c.id).where(links.c.ledger_id == bindparam("books")).order_by(links.c.id).with_for_update()
_SELECT_SECRET = select(secrets.c.ciphertext).where(
    secrets.c.connection_id == bindparam("of"), secrets.c.purpose == bindparam("which")
)
_SELECT_SECRET_TIMES = select(secrets.c.purpose, secrets.c.updated_at).where(secrets.c.connection_id == bindparam("of"))


def is_desktop(conn: Conn, connection_id: int) -> bool:
    """Whether the books are kept in QuickBooks Desktop."""
    return connection(conn, connection_id).system == "qbd"


def find_connection(conn: Conn, system: str, external_id: str, mode: str) -> Connection | None:
    row = conn.execute(
        select(connections).where(
            connections.c.system == system, connections.c.external_id == external_id, connections.c.mode == mode
        )
    ).first()
    return None if row is None else _connection(row)


def all_connections(conn: Conn) -> list[Connection]:
    return [_connection(row) for row in conn.execute(select(connections).order_by(connections.c.id))]


def set_state(conn: Conn, connection_id: int, state: str, problem: str | None, at: datetime) -> None:
    """`reconnect` or `disconnected` with its reason; or `ready`: it was connected again."""
    conn.execute(
        update(connections).where(connections.c.id == connection_id).values(state=state, problem=problem, checked_at=at)
    )


def recover(conn: Conn, connection_id: int, at: datetime, problem: str | None = None) -> None:
    """It has just answered: whatever refused it before is over, unless a person has disconnected it meanwhile.

    `problem`: it is `limited`, because it may not read everything.
    """
    state = "limited" if problem else "ready"
    these = (connections.c.id == connection_id, connections.c.state != "disconnected")
    conn.execute(update(connections).where(*these).values(state=state, problem=problem, checked_at=at))


def record_consent(conn: Conn, connection_id: int, ends_at: datetime) -> None:
    """When a person has to consent again."""
    conn.execute(update(connections).where(connections.c.id == connection_id).values(consent_ends_at=ends_at))


def rename(conn: Conn, connection_id: int, name: str) -> None:
    conn.execute(update(connections).where(connections.c.id == connection_id).values(name=name))


def change_settings(conn: Conn, connection_id: int, settings: dict[str, Any]) -> None:
    conn.execute(update(connections).where(connections.c.id == connection_id).values(settings=settings))


def store_secret(conn: Conn, vault: Vault, connection_id: int, purpose: str, plaintext: str, at: datetime) -> None:
    row = {
        "connection_id": connection_id,
        "purpose": purpose,
        "ciphertext": vault.seal(purpose, str(connection_id), plaintext),
        "updated_at": at,
    }
    upsert(conn, secrets, [row], ["connection_id", "purpose"])


def secret(conn: Conn, vault: Vault, connection_id: int, purpose: str, *, for_update: bool = False) -> str | None:
    """A secret in the clear, or None. `for_update` locks it against other refreshers until the transaction ends."""
    query = _SELECT_SECRET.with_for_update() if for_update else _SELECT_SECRET
    ciphertext = conn.execute(query, {"of": connection_id, "which": purpose}).scalar()
    return None if ciphertext is None else vault.open(purpose, str(connection_id), ciphertext)


def secret_times(conn: Conn, connection_id: int) -> dict[str, datetime]:
    """Which secrets a connection has, and since when."""
    rows = conn.execute(_SELECT_SECRET_TIMES, {"of": connection_id})
    return {row.purpose: row.updated_at for row in rows}


def forget_secrets(conn: Conn, connection_id: int, *purposes: str) -> bool:
    """False if there was none of them."""
    these = (secrets.c.connection_id == connection_id, secrets.c.purpose.in_(purposes))
    return conn.execute(secrets.delete().where(*these)).rowcount > 0


def reseal_secrets(conn: Conn, vault: Vault) -> int:
    """Every secret under the vault's newest key; gives how many. What a secret is and since when does not change."""
    rows = conn.execute(select(secrets).with_for_update()).all()
    for row in rows:
        this = (secrets.c.connection_id == row.connection_id, secrets.c.purpose == row.purpose)
        conn.execute(update(secrets).where(*this).values(ciphertext=vault.rotate(row.ciphertext)))
    return len(rows)


def add_link(  # noqa: PLR0913 - one argument a column
    conn: Conn,
    *,
    processor_id: int,
    ledger_id: int,
    name: str,
    cutover: date,
    time_zone: str,
    mappings: Mappings,
    policies: Policies,
    posting_on: bool = False,
) -> int:
    row = conn.execute(
        links.insert().values(
            processor_id=processor_id,
            ledger_id=ledger_id,
            name=name,
            cutover=cutover,
            time_zone=time_zone,
            mappings=to_json(mappings),
            policies=to_json(policies),
            posting_on=posting_on,
            revision=1,
            decided_revision=0,
            balances={},
        )
    )
    return int(row.inserted_primary_key[0])  # type: ignore[index]


def link(conn: Conn, link_id: int) -> Link:
    return _link(conn.execute(_SELECT_LINK, {"this": link_id}).one())


def revision(conn: Conn, link_id: int) -> int:
    """Changes whenever anything does that matching depends on."""
    return int(conn.execute(_SELECT_REVISION, {"this": link_id}).scalar_one())


def all_links(conn: Conn) -> list[Link]:
    return [_link(row) for row in conn.execute(_SELECT_LINKS)]


def change_link(conn: Conn, link_id: int, **values: Any) -> None:
    """Changes columns of a link and makes matching run again."""
    conn.execute(update(links).where(links.c.id == link_id).values(revision=links.c.revision + 1, **values))


def lock_links(conn: Conn, ledger_id: int) -> None:
    """Until the transaction ends nobody else decides about what goes into these books. Links come before all else."""
    conn.execute(_LOCK_LINKS, {"books": ledger_id})


def switch_posting(conn: Conn, link_id: int, on: bool) -> bool:
    """Whether the outbox of a link is sent; False if it is that way already."""
    done = conn.execute(update(links).where(links.c.id == link_id, links.c.posting_on.is_not(on)).values(posting_on=on))
    return done.rowcount == 1


def record_dry_run(conn: Conn, link_id: int, by: str | None, at: datetime | None) -> None:
    """Who looked at the dry run; None again when mappings or policies change what it shows."""
    conn.execute(update(links).where(links.c.id == link_id).values(dry_run_by=by, dry_run_at=at))


def record_balances(conn: Conn, link_id: int, balances: dict[str, int], at: datetime) -> None:
    """What Stripe says its balance is now; changes nothing that matching depends on."""
    conn.execute(update(links).where(links.c.id == link_id).values(balances=balances, balances_at=at))


def record_decided(conn: Conn, link_id: int, revision: int) -> None:
    conn.execute(update(links).where(links.c.id == link_id).values(decided_revision=revision))


def _connection(row: Row[Any]) -> Connection:
    return Connection(
        id=row.id,
        system=row.system,
        external_id=row.external_id,
        name=row.name,
        mode=row.mode,
        settings=row.settings,
        state=row.state,
        problem=row.problem,
        consent_ends_at=row.consent_ends_at,
    )


def _link(row: Row[Any]) -> Link:
    return Link(
        id=row.id,
        processor_id=row.processor_id,
        ledger_id=row.ledger_id,
        name=row.name,
        cutover=row.cutover,
        time_zone=row.time_zone,
        mappings=from_json(row.mappings, Mappings),
        policies=from_json(row.policies, Policies),
        posting_on=row.posting_on,
        dry_run_by=row.dry_run_by,
        dry_run_at=row.dry_run_at,
        revision=row.revision,
        decided_revision=row.decided_revision,
        model=row.model,
        openings=None if row.openings is None else from_json(row.openings, tuple[Opening, ...]),
        balances=row.balances,
        balances_at=row.balances_at,
    )
