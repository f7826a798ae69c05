"""Each action of a person about connections as one function: like sync.commands, but these talk to the other side.

Nothing is changed unless the other side agreed. What it refuses is a RefusedError with its sentence.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from zoneinfo import ZoneInfo, available_timezones

from reconcile.postings import Policies
from storage import audit, connections, leases, runs
from storage.connections import Connection
from storage.users import User
from sync import callback, connecting, desktop, hooks
from sync.commands import RefusedError, check
from sync.connecting import EMULATED
from sync.environment import Environment, hooks_url
from sync.errors import SyncError
from sync.mapping import read_lists
from sync.oauth import QuickBooksAccess, revoke
from sync.qbo.tokens import REFRESH

EARLIEST = date(2011, 1, 1)  # Stripe began in that year
QUICKBOOKS_TOKENS = ("access_token", "access_expires_at", "refresh_token")
STRIPE_SECRETS = ("key", hooks.CURRENT, hooks.BEFORE)


# ---- Stripe


def connect_stripe(environment: Environment, actor: User, key: str) -> bool:
    """A new account, or one that is connected already with a new key."""
    _allow(environment, actor, "connect")
    key, stand_ins = key.strip(), environment.stand_ins()
    with _plainly():
        mode = connecting.mode_of_key(key)
        mode = EMULATED if stand_ins else mode
        settings = connecting.stripe_settings(stand_ins)
        connecting.connect_stripe(environment, key, mode, settings, actor=actor.email)
    return True


def replace_key(environment: Environment, actor: User, connection_id: int, key: str) -> bool:
    """Another key for the same account; its history stays."""
    _allow(environment, actor, "connect")
    present, key = _connection(environment, connection_id), key.strip()
    with _plainly():
        mode = connecting.mode_of_key(key)
        mode = EMULATED if present.mode == EMULATED else mode
        addresses = {name: value for name, value in present.settings.items() if name == "api"}
        connecting.connect_stripe(environment, key, mode, addresses, actor=actor.email, again=present)
    return True


# ---- webhooks


def create_webhook(environment: Environment, actor: User, connection_id: int) -> bool:
    """Has Stripe send its events to our public address."""
    _allow(environment, actor, "connect")
    base = hooks_url()
    if base is None:
        raise RefusedError("Stripe cannot reach this machine: no public address is set (TIEOUT_URL).")
    with _plainly():
        hooks.subscribe(environment, connection_id, base, actor=actor.email)
    return True


def change_secret(environment: Environment, actor: User, connection_id: int, secret: str) -> bool:
    """The secret that somebody found in Stripe's dashboard or in Intuit's; the one before is valid for three days."""
    _allow(environment, actor, "connect")
    system, secret = _connection(environment, connection_id).system, secret.strip()
    if not secret or (system == "stripe" and not secret.startswith("whsec_")):
        raise RefusedError(
            "Stripe's signing secrets begin with whsec_. Copy it from the endpoint in Stripe's dashboard."
            if system == "stripe"
            else "Give the verifier token that Intuit shows for your app's webhooks."
        )
    with environment.database.write() as conn:
        return hooks.change_secret(conn, environment, connection_id, secret, actor.email)


def retire_secret(environment: Environment, actor: User, connection_id: int) -> bool:
    """The secret from before the change is not valid any more, from now on."""
    with environment.database.write() as conn:
        check(conn, actor, "connect")
        return hooks.retire(conn, environment, connection_id, actor.email)


# ---- QuickBooks


def begin_consent(
    environment: Environment,
    actor: User,
    *,
    session: str,
    origin: str,
    mode: str,
    client: tuple[str, str] | None = None,
    connection_id: int | None = None,
) -> str:
    """Where to send the person's browser, so that they say yes at Intuit. `client` is what they typed, if they did."""
    _allow(environment, actor, "connect" if connection_id is None else "reconnect")
    if client is not None:
        client = (client[0].strip(), client[1].strip())
    known = client if client and all(client) else callback.known_client(environment, mode, connection_id)
    if known is None:
        raise RefusedError("Give client id and client secret of your Intuit app.")
    with _plainly():
        return callback.begin(
            environment,
            actor,
            session=session,
            mode=mode,
            origin=origin,
            client=known,
            connection_id=connection_id,
        )


# ---- QuickBooks Desktop


def connect_desktop(environment: Environment, actor: User, name: str, mode: str) -> desktop.SignIn:
    """The connection of a company file, with the password its Web Connector asks for: it is not shown again."""
    _allow(environment, actor, "connect")
    if not name.strip():
        raise RefusedError("Give the company's name, so that you know it again in the Web Connector.")
    mode = EMULATED if environment.stand_ins() else mode
    with _plainly():
        return desktop.connect_desktop(environment, name, mode, actor=actor.email)


def new_desktop_password(environment: Environment, actor: User, connection_id: int) -> desktop.SignIn:
    """The one before opens nothing any more. A company file that was disconnected is connected again."""
    _allow(environment, actor, "connect")
    made = desktop.new_password(environment, connection_id, actor=actor.email)
    with environment.database.write() as conn:
        connections.set_state(conn, connection_id, "ready", None, environment.clock.now())
    return made


def pause_desktop(environment: Environment, actor: User, connection_id: int, paused: bool) -> bool:
    """Nothing more is asked of QuickBooks after the request under way, until somebody allows it again."""
    _allow(environment, actor, "reconnect")
    return desktop.pause(environment, connection_id, paused=paused, actor=actor.email)


def qwc_file(environment: Environment, connection_id: int) -> bytes:
    """What is opened in the Web Connector; it holds no secret."""
    with _plainly():
        return desktop.qwc_file(environment, connection_id)


# ---- both


def join(
    environment: Environment, actor: User, processor_id: int, ledger_id: int, cutover: date, time_zone: str
) -> int:
    """Joins an account to a company, posting off, and has both read for the first time; gives the link's id."""
    _allow(environment, actor, "connect")
    now = environment.clock.now()
    if time_zone not in available_timezones():
        raise RefusedError(f"{time_zone} is not the name of a time zone, as America/New_York is.")
    if not EARLIEST <= cutover <= now.astimezone(ZoneInfo(time_zone)).date():
        raise RefusedError("The cut-over is a day that has begun already, and not before Stripe did (2011).")
    with _plainly():
        link_id = connecting.make_link(
            environment,
            processor_id=processor_id,
            ledger_id=ledger_id,
            cutover=cutover,
            time_zone=time_zone,
            policies=Policies(),
            posting_on=False,
            actor=actor.email,
            create_missing=False,
        )
    with suppress(SyncError):  # so that there is something to choose from at once; the first sync reads them too
        read_lists(environment, ledger_id)
    with environment.database.write() as conn:
        runs.enqueue(conn, link_id=link_id, kind="sync", cause=actor.email, scheduled_for=now)
    return link_id


def disconnect(environment: Environment, actor: User, connection_id: int) -> bool:
    """Ends our access and forgets it; what was read and posted stays. Posting is switched off, and no sync runs.

    At Intuit the access is revoked. A key of Stripe's can only be taken back in Stripe's dashboard.
    """
    _allow(environment, actor, "connect")
    connection = _connection(environment, connection_id)
    if connection.state == "disconnected":
        return False
    if connection.system == "qbo":
        with _plainly():
            _revoke(environment, connection)
    elif connection.system == "stripe" and (base := hooks_url()):
        with suppress(SyncError):  # the key may be refused already, which is why somebody disconnects
            hooks.unsubscribe(environment, connection_id, base)
    now = environment.clock.now()
    problem = f"Disconnected by {actor.email} on {now:%Y-%m-%d}. Connect it again to go on; nothing of it is lost."
    with environment.database.write() as conn:
        purposes = STRIPE_SECRETS if connection.system == "stripe" else QUICKBOOKS_TOKENS
        connections.forget_secrets(conn, connection_id, *purposes)
        connections.set_state(conn, connection_id, "disconnected", problem, now)
        touched = [each for each in connections.all_links(conn) if connection_id in (each.processor_id, each.ledger_id)]
        for link in touched:
            connections.switch_posting(conn, link.id, on=False)
            connections.record_dry_run(conn, link.id, None, None)
        detail = {"external_id": connection.external_id, "posting switched off": [link.id for link in touched]}
        subject = f"connection {connection_id}"
        audit.append(conn, now, [audit.Entry(actor=actor.email, action="disconnected", subject=subject, detail=detail)])
    return True


def _revoke(environment: Environment, connection: Connection) -> None:
    """At Intuit, while nobody renews the access."""
    holder = connecting.hold_refreshing(environment, connection.id)
    try:
        with environment.database.read() as conn:
            client_id, client_secret, token = (
                connections.secret(conn, environment.vault, connection.id, purpose)
                for purpose in ("client_id", "client_secret", "refresh_token")
            )
        if client_id and client_secret and token:
            revoke(
                QuickBooksAccess(
                    realm_id=connection.external_id,
                    client_id=client_id,
                    client_secret=client_secret,
                    refresh_token=token,
                    settings=connection.settings,
                )
            )
    finally:
        with environment.database.write() as conn:
            leases.give_back(conn, connection.id, REFRESH, holder)


def _connection(environment: Environment, connection_id: int) -> Connection:
    with environment.database.read() as conn:
        return connections.connection(conn, connection_id)


def _allow(environment: Environment, actor: User, action: str) -> None:
    """Before the other side is asked anything."""
    with environment.database.write() as conn:
        check(conn, actor, action)


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except SyncError as error:
        raise RefusedError(error.plain) from None
