"""What is above the amount that one person may do alone, by link and currency: it is kept for a second person.

A command checks everything, then holds what is above the limit instead of doing it. What a second person approves is
done by the same function (`CARRIED`), with everything checked again: `sync.approving`.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from reconcile.money import Money
from storage import approvals, audit, connections, hanging
from storage.approvals import Ask
from storage.users import User

T = TypeVar("T")


class RefusedError(Exception):
    """An action that cannot be done, with a sentence for the person who asked for it."""


class HeldError(RefusedError):
    """It waits for the yes of a second person: it is more than one may do alone."""

    def __init__(self, ask: Ask, limit: int) -> None:
        amount, most = Money(ask.amount_minor, ask.currency), Money(limit, ask.currency)
        super().__init__(
            f"{amount} is more than the {most} that one person may do alone, so it waits for a second person's yes: "
            "Review, Waiting for approval."
        )


CARRIED: dict[str, Callable[..., Any]] = {}  # what is done once a second person has said yes, by command


def carries(action: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Says that a function is what a command does, so that it can be done later, with `approved`."""

    def known(function: Callable[..., T]) -> Callable[..., T]:
        CARRIED[action] = function
        return function

    return known


def ask_for(link_id: int, action: str, subject: str, rows: Sequence[Any], text: str, arguments: Sequence[Any]) -> Ask:
    """About the gross of these legs, or all of them where there is none."""
    gross = [row for row in rows if row.kind == "gross"] or list(rows)
    return Ask(
        link_id=link_id,
        action=action,
        subject=subject,
        currency=gross[0].currency if gross else "",
        amount_minor=abs(sum(int(row.amount_minor) for row in gross)),
        text=text,
        arguments=arguments,
    )


def hold(conn: Any, now: Any, actor: User, ask: Ask) -> HeldError | None:
    """Keeps for a second person what is above the link's limit; the caller gives what comes of it to `passed`."""
    limit = connections.link(conn, ask.link_id).policies.approval_limits.get(ask.currency)
    if limit is None or ask.amount_minor <= limit:
        return None
    already = approvals.about(conn, ask.link_id, ask.subject)
    if already is not None:
        raise RefusedError(f"{already.asker} asked for this already: “{already.ask.text}” waits for a second person.")
    approval_id = approvals.add(conn, ask, actor.id, now)
    detail = {"approval": approval_id, "what": ask.text, "amount_minor": ask.amount_minor, "currency": ask.currency}
    said = audit.Entry(
        actor=actor.email, action="asked for approval", subject=ask.subject, link_id=ask.link_id, detail=detail
    )
    audit.append(conn, now, [said])
    return HeldError(ask, limit)


def passed(made: T | HeldError) -> T:
    """What was done; raises HeldError, once all is stored, if it waits for a second person."""
    if isinstance(made, HeldError):
        raise made
    return made


def named(conn: Any, link_id: int, document_ids: Sequence[str]) -> str:
    """Documents as people call them."""
    found = hanging.load(conn, connections.link(conn, link_id), document_ids)
    return " and ".join(hanging.named(found[each]) if each in found else each for each in document_ids)
