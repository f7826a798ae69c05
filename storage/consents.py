"""People who are at Intuit, asked for consent: each answer is for one browser session, and counts once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, select, update

from storage.models import consents
from storage.users import digest
from storage.vault import Vault

LIFE = timedelta(minutes=20)
KEPT = timedelta(days=1)  # for the page to say what came of it
PURPOSE = "consent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One question to Intuit. `connection_id` is what is to be opened again, `opened_id` what was opened."""

    id: int
    user_id: int
    connection_id: int | None
    mode: str
    redirect_uri: str
    used_at: datetime | None
    opened_id: int | None
    problem: str | None


def begin(  # noqa: PLR0913 - all of it is the question
    conn: Connection,
    vault: Vault,
    *,
    state: str,
    session: str,
    user_id: int,
    connection_id: int | None,
    mode: str,
    redirect_uri: str,
    client: tuple[str, str],
    at: datetime,
) -> None:
    """Remembers a question. `session` is the hash of the browser session that may bring the answer."""
    conn.execute(consents.delete().where(consents.c.expires_at < at - KEPT))
    conn.execute(
        consents.insert().values(
            state_hash=digest(state),
            session_hash=session,
            user_id=user_id,
            connection_id=connection_id,
            mode=mode,
            redirect_uri=redirect_uri,
            client=vault.seal(PURPOSE, digest(state), "\n".join(client)),
            expires_at=at + LIFE,
        )
    )


def use(
    conn: Connection, vault: Vault, *, state: str, session: str, at: datetime
) -> tuple[Consent, tuple[str, str]] | None:
    """The question that an answer belongs to, with id and secret of the app; None for every answer but the first one
    of the same session in time.
    """
    mine = (
        consents.c.state_hash == digest(state),
        consents.c.session_hash == session,
        consents.c.used_at.is_(None),
        consents.c.expires_at > at,
    )
    if conn.execute(update(consents).where(*mine).values(used_at=at)).rowcount != 1:
        return None
    row = conn.execute(select(consents).where(consents.c.state_hash == digest(state))).one()
    client_id, _, client_secret = vault.open(PURPOSE, row.state_hash, row.client).partition("\n")
    return _consent(row), (client_id, client_secret)


def finish(conn: Connection, consent_id: int, *, opened_id: int | None = None, problem: str | None = None) -> None:
    """What came of it. The app's id and secret are not needed any more."""
    values = {"opened_id": opened_id, "problem": problem, "client": b""}
    conn.execute(update(consents).where(consents.c.id == consent_id).values(**values))


def latest(conn: Connection, session: str) -> Consent | None:
    """The last question of a browser session that was answered."""
    mine = (consents.c.session_hash == session, consents.c.used_at.is_not(None))
    row = conn.execute(select(consents).where(*mine).order_by(consents.c.id.desc()).limit(1)).first()
    return None if row is None else _consent(row)


def _consent(row: Row[Any]) -> Consent:
    return Consent(**{name: getattr(row, name) for name in Consent.__dataclass_fields__})
