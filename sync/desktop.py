"""Connecting a QuickBooks Desktop company file: the sign-in of its Web Connector and the .qwc file that brings it."""

from dataclasses import dataclass, field
from typing import Any

from storage import audit, connections, web_connectors
from sync import passwords
from sync.environment import Environment, hooks_url
from sync.errors import Rejected
from sync.qbd import qwc

INTERVAL_MINUTES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What a person types into the Web Connector; the password is shown once and not kept."""

    connection_id: int
    user_name: str
    password: str = field(repr=False)


def connect_desktop(
    environment: Environment, name: str, mode: str, *, interval_minutes: int = INTERVAL_MINUTES, actor: str = "tieout"
) -> SignIn:
    """Makes the connection of a company file, which gets its name and its books with the first visit."""
    if interval_minutes < 1:
        raise Rejected("The Web Connector visits at most once a minute.")
    rng, now = environment.rng, environment.clock.now()
    user_name, password = f"tieout-{rng.uuid()[:8]}", rng.token(passwords.LENGTH)
    with environment.database.write() as conn:
        connection_id = connections.add_connection(
            conn,
            system="qbd",
            external_id="{" + rng.uuid() + "}",
            name=name.strip() or "QuickBooks Desktop",
            mode=mode,
            settings={},
            at=now,
        )
        web_connectors.add(
            conn,
            connection_id,
            user_name=user_name,
            password_hash=passwords.hash_of(password, rng.token(16)),
            interval_minutes=interval_minutes,
        )
        _record(conn, environment, actor, "connected", connection_id)
    return SignIn(connection_id=connection_id, user_name=user_name, password=password)


def new_password(environment: Environment, connection_id: int, *, actor: str) -> SignIn:
    """The one before opens nothing any more; a visit under way goes on."""
    password = environment.rng.token(passwords.LENGTH)
    with environment.database.write() as conn:
        hashed = passwords.hash_of(password, environment.rng.token(16))
        web_connectors.change(conn, connection_id, password_hash=hashed)
        user_name = web_connectors.of(conn, connection_id).user_name
        _record(conn, environment, actor, "changed password", connection_id)
    return SignIn(connection_id=connection_id, user_name=user_name, password=password)


def pause(environment: Environment, connection_id: int, *, paused: bool, actor: str) -> bool:
    """Whether nothing more is asked after the request under way; False if it is that way already."""
    with environment.database.write() as conn:
        if web_connectors.of(conn, connection_id).paused == paused:
            return False
        web_connectors.change(conn, connection_id, paused=paused)
        _record(conn, environment, actor, "stopped visits" if paused else "allowed visits", connection_id)
    return True


def qwc_file(environment: Environment, connection_id: int, base: str | None = None) -> bytes:
    """What is opened in the Web Connector. Raises Rejected if no Web Connector could reach us."""
    reached_at = base or hooks_url()
    if reached_at is None:
        raise Rejected("The Web Connector cannot reach this installation: no public address is set (TIEOUT_URL).")
    with environment.database.read() as conn:
        connection = connections.connection(conn, connection_id)
        connector = web_connectors.of(conn, connection_id)
    try:
        return qwc.write(
            reached_at,
            company=connection.name,
            user_name=connector.user_name,
            file_id=connection.external_id,
            interval_minutes=connector.interval_minutes,
        )
    except qwc.AddressError as error:
        raise Rejected(str(error)) from None


def _record(conn: Any, environment: Environment, actor: str, action: str, connection_id: int) -> None:
    entry = audit.Entry(actor=actor, action=action, subject=f"connection {connection_id}", detail={"system": "qbd"})
    audit.append(conn, environment.clock.now(), [entry])
