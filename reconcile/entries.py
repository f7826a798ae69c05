"""Journal entries of one movement: the clearing account on one side, by role or fee on the other."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from reconcile.currencies import rate_on
from reconcile.days import day_of
from reconcile.draft import REFERENCE_LENGTH, Draft, common_problem, memo, missing_account, share, total
from reconcile.fees import fee_account
from reconcile.postings import Leg, Posting, PostingLine
from reconcile.records import Movement
from reconcile.snapshot import Snapshot


def book_entry(
    draft: Draft, movement: Movement, legs: Sequence[Leg], source_id: str, kind: str, roles: Mapping[str, str]
) -> Posting | None:
    """All legs of a movement in one entry. `roles` says by kind of leg which account stands against clearing; a fee
    without one goes to the account of its kind. None if it waits.
    """
    snapshot, accounts = draft.snapshot, draft.snapshot.mappings.accounts
    problem = common_problem(snapshot, [movement]) or missing_account(snapshot, *_used(roles, legs))
    against: dict[str, int] = defaultdict(int)
    for leg in legs:
        account = accounts.get(roles[leg.kind]) if leg.kind in roles else fee_account(snapshot.mappings, leg.kind)
        if account is None and not problem:
            problem = "unmapped_account", f"Nothing is chosen in QuickBooks for {leg.kind}. Choose it."
        against[account or ""] -= leg.amount_minor
    if problem:
        draft.wait(legs, source_id, *problem)
        return None
    clearing = snapshot.mappings.clearing[movement.currency]
    amounts = {clearing: sum(leg.amount_minor for leg in legs)} | against
    day = day_of(snapshot, [movement])
    marker, text = f"{movement.id}:{kind}:r1:s1", memo(source_id, [movement])
    posting = entry(snapshot, marker, day, clearing, amounts, text, source_id)
    known = rate_on(snapshot, movement.currency, day)
    posting = replace(posting, currency=movement.currency, exchange_rate=known)
    (posting,) = share([(posting, total(legs))], legs)
    draft.post([posting], legs, source_id)
    return posting


def entry(
    snapshot: Snapshot, marker: str, day: date, account_id: str, amounts: Mapping[str, int], text: str, source_id: str
) -> Posting:
    """A journal entry in home currency; `amounts` by account, debits above zero."""
    return Posting(
        marker=marker,
        kind="journal_entry",
        dated=day,
        currency=snapshot.home_currency,
        amount_minor=sum(amount for amount in amounts.values() if amount > 0),
        account_id=account_id,
        memo=text,
        reference=source_id[-REFERENCE_LENGTH:],
        lines=tuple(
            PostingLine(amount_minor=amount, account_id=account, description=f"Stripe {source_id}")
            for account, amount in amounts.items()
            if amount
        ),
    )


def _used(roles: Mapping[str, str], legs: Sequence[Leg]) -> list[str]:
    return sorted({roles[leg.kind] for leg in legs if leg.kind in roles})
