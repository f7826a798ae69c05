"""Each action of a person about mappings and policies as one function; some read or make what QuickBooks lists.

Whatever they change is audited with what it was before, and asks for another look at the dry run before posting is
switched on.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import Any

from reconcile.mapping import Chart, Entity, Role, candidates
from reconcile.money import MoneyError, to_minor
from storage import audit, chart, connections, errands, mirror
from storage.connections import Link
from storage.records import to_json
from storage.users import User
from sync import choosing
from sync.adapters import quickbooks_carry
from sync.choosing import ChoiceError
from sync.commands import RefusedError, check
from sync.environment import Environment
from sync.errors import Rejected, SyncError
from sync.ports import Request
from sync.qbd.errands import name_of
from sync.qbo import faults, records
from sync.qbo.limits import Carry
from sync.qbo.wire import encode

LABELS = ("Class", "Department", "PaymentMethod")
LISTS = ("Preferences", "Account", "Item", "Vendor", "TaxRate", "TaxCode", *LABELS)
ENTITIES = {"account": "Account", "item": "Item", "vendor": "Vendor"}
ERRANDS: dict[Entity, errands.Kind] = {"account": "account", "item": "item", "vendor": "vendor"}
POLICIES = {
    "charge_without_invoice": ("wait", "sales_receipt", "unapplied_payment"),
    "closed_period": ("wait", "first_open_day"),
    "refund": ("receipt", "receivables"),
    "open_items": ("post", "in_books"),
}
LIMITS = ("short_limits",)
LIMIT_MAX = 10**12  # minor units
PAGE = 1_000
ACTOR = "quickbooks"


# ---- reading the lists


def read_chart(environment: Environment, actor: User, link_id: int) -> bool:
    """Reads accounts, items, vendors, classes, locations and payment methods anew."""
    link = _link(environment, actor, link_id)
    try:
        read_lists(environment, link.ledger_id)
    except SyncError as error:
        raise RefusedError(error.plain) from None
    return True


def read_lists(environment: Environment, ledger_id: int) -> None:
    """The same for whoever just connected. Raises sync.errors."""
    with environment.database.read() as conn:
        carry = quickbooks_carry(environment, connections.connection(conn, ledger_id))
    for entity in LISTS:
        with suppress(Rejected) if entity in LABELS else nullcontext():  # not every subscription has them
            _read_list(environment, carry, ledger_id, entity)


def _read_list(environment: Environment, carry: Carry, ledger_id: int, entity: str) -> None:
    start, found = 1, _page(carry, entity, 1)
    _store(environment, ledger_id, entity, found)
    while len(found) == PAGE:
        start += PAGE
        found = _page(carry, entity, start)
        _store(environment, ledger_id, entity, found)


def _page(carry: Carry, entity: str, start: int) -> list[dict[str, Any]]:
    where = "" if entity == "Preferences" else f" WHERE Active IN (true, false) STARTPOSITION {start} MAXRESULTS {PAGE}"
    text = f"SELECT * FROM {entity}{where}"  # noqa: S608 - our own words
    body = faults.check(carry(Request(kind="read", path="query", body=text)), write=False)
    found: list[dict[str, Any]] = body["QueryResponse"].get(entity, [])
    return found


def _store(environment: Environment, ledger_id: int, entity: str, bodies: Sequence[dict[str, Any]]) -> None:
    now = environment.clock.now()
    with environment.database.write() as conn:
        home = mirror.home_currency(conn, ledger_id)
        objects = [(*records.read(entity, body, home), encode(body)) for body in bodies]
        mirror.store(conn, ledger_id, objects, at=now, actor=ACTOR)


# ---- choosing


def choose(environment: Environment, actor: User, link_id: int, choices: Mapping[str, str | None]) -> bool:
    """Takes an accountant's choices, by role; False if they are what was chosen before.

    Raises RefusedError for a choice that cannot be used, and for another clearing account once something was posted.
    """
    now = environment.clock.now()
    with environment.database.write() as conn:
        check(conn, actor, "map")
        try:
            return choosing.take(conn, now, actor.email, connections.link(conn, link_id), choices)
        except ChoiceError as error:
            raise RefusedError(str(error)) from None


def create(environment: Environment, actor: User, link_id: int, role_id: str) -> bool:
    """Makes in QuickBooks what a role needs, under its usual name, and chooses it; what is there already is taken.

    In QuickBooks Desktop the next visit of its Web Connector does that.
    """
    link = _link(environment, actor, link_id)
    with environment.database.read() as conn:
        role = next((role for role in choosing.roles_of(conn, link) if role.id == role_id), None)
        ledger = connections.connection(conn, link.ledger_id)
        account_name = connections.connection(conn, link.processor_id).name
        others = chart.taken(conn, link)
    if role is None or role.name is None:
        raise RefusedError("This cannot be made from here. Make it in QuickBooks, then read the lists again.")
    name = f"{role.name} - {account_name}" if role.field == "clearing" and others else role.name
    if ledger.system == "qbd":
        return _ask_for(environment, actor, link, role, name)
    try:
        made = _find_or_make(environment, quickbooks_carry(environment, ledger), link, role, name)
    except SyncError as error:
        raise RefusedError(error.plain.replace("this document", f"“{name}”")) from None
    return choose(environment, actor, link_id, {role_id: made})


def _ask_for(environment: Environment, actor: User, link: Link, role: Role, name: str) -> bool:
    with environment.database.write() as conn:
        check(conn, actor, "map")
        ask_for(conn, link, role, name, actor.email, environment.clock.now())
    return True


def ask_for(conn: Any, link: Link, role: Role, name: str, asked_by: str, now: datetime) -> None:
    """The next visit makes it, under that name, and chooses it."""
    errands.ask(
        conn,
        connection_id=link.ledger_id,
        link_id=link.id,
        kind=ERRANDS[role.entity],
        subject=role.id,
        name=name_of(role.entity, name),
        content={"type": role.types[0] if role.types else None, "currency": role.currency},
        asked_by=asked_by,
        at=now,
    )
    detail = {"role": role.id, "name": name}
    entry = audit.Entry(actor=asked_by, action="asked for", subject=f"link {link.id}", link_id=link.id, detail=detail)
    audit.append(conn, now, [entry])


def _find_or_make(environment: Environment, carry: Carry, link: Link, role: Role, name: str) -> str:
    """Looks first, as it is now: names are unique in QuickBooks, so nothing is ever made twice."""
    entity = ENTITIES[role.entity]
    _read_list(environment, carry, link.ledger_id, entity)
    with environment.database.read() as conn:
        lists, others = chart.load(conn, link.ledger_id), chart.taken(conn, link)
    for key, entry in candidates(role, lists, others).items():
        if entry.name.casefold() == name.casefold():
            return key
    body, request_id = encode(_body(role, name, lists)), environment.rng.uuid()
    request = Request(kind="write", path=entity.lower(), body=body, query={"requestid": request_id})
    made = faults.check(carry(request), write=True)[entity]
    _store(environment, link.ledger_id, entity, [made])
    return str(made["Id"])


def _body(role: Role, name: str, lists: Chart) -> dict[str, Any]:
    currency = {"CurrencyRef": {"value": role.currency}} if role.currency not in (None, lists.home_currency) else {}
    if role.entity == "vendor":
        return {"DisplayName": name} | currency
    if role.entity == "account":
        return {"Name": name, "AccountType": role.types[0]} | currency
    income = [key for key, each in sorted(lists.accounts.items()) if each.type == "Income" and each.active]
    if not income:
        raise RefusedError("QuickBooks has no income account for this item. Make one there, then read the lists again.")
    return {"Name": name, "Type": "Service", "IncomeAccountRef": {"value": income[0]}}


# ---- policies and limits


def change_policy(environment: Environment, actor: User, link_id: int, name: str, value: str) -> bool:
    """What to do where there is a choice; False if it is as before. Sending to Stripe is switched elsewhere."""
    now = environment.clock.now()
    with environment.database.write() as conn:
        check(conn, actor, "map")
        link = connections.link(conn, link_id)
        if value not in POLICIES.get(name, ()):
            raise RefusedError("There is no such choice. Look at the page again.")
        before = getattr(link.policies, name)
        if value == before:
            return False
        policies = to_json(link.policies) | {name: value}
        choosing.change(conn, now, actor.email, link, "changed policies", {name: [before, value]}, policies=policies)
    return True


def change_limit(environment: Environment, actor: User, link_id: int, name: str, currency: str, limit: str) -> bool:
    """Sets a limit of a currency, `limit` in its major units as it was typed; False if it is as before."""
    with environment.database.write() as conn:
        check(conn, actor, "map")
        if name not in LIMITS:
            raise RefusedError("There is no such limit. Look at the page again.")
        return _set_limit(conn, environment.clock.now(), actor, link_id, name, currency, _minor(limit, currency))


def change_approval_limit(environment: Environment, actor: User, link_id: int, currency: str, limit: str) -> bool:
    """Sets the amount above which what a person does waits for a second one; nothing typed: never."""
    with environment.database.write() as conn:
        check(conn, actor, "change_approval_limit")
        minor = _minor(limit, currency) if limit.strip() else None
        return _set_limit(conn, environment.clock.now(), actor, link_id, "approval_limits", currency, minor)


def _minor(limit: str, currency: str) -> int:
    if not re.fullmatch("[A-Z]{3}", currency):
        raise RefusedError("There is no such currency. Look at the page again.")
    try:
        minor = to_minor(limit.strip().replace(",", ""), currency)
    except MoneyError as error:
        raise RefusedError(f"{error} Type an amount such as 5.00.") from None
    if not 0 <= minor <= LIMIT_MAX:
        raise RefusedError("A limit is an amount of 0 or more.")
    return minor


def _set_limit(
    conn: Any, now: datetime, actor: User, link_id: int, name: str, currency: str, minor: int | None
) -> bool:
    """None takes the limit away."""
    link = connections.link(conn, link_id)
    before: dict[str, int] = getattr(link.policies, name)
    if before.get(currency) == minor:
        return False
    after = {each: limit for each, limit in before.items() if each != currency}
    after |= {} if minor is None else {currency: minor}
    detail = {name: {currency: [before.get(currency), minor]}}
    policies = to_json(link.policies) | {name: after}
    choosing.change(conn, now, actor.email, link, "changed limits", detail, policies=policies)
    return True


def _link(environment: Environment, actor: User, link_id: int) -> Link:
    with environment.database.write() as conn:
        check(conn, actor, "map")
        return connections.link(conn, link_id)
