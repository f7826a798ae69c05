"""Stripe's fees on a charge (row 1)."""

from collections import defaultdict
from collections.abc import Sequence

from reconcile.draft import REFERENCE_LENGTH, Draft, book_day, memo, share
from reconcile.postings import Leg, Posting, PostingLine
from reconcile.records import Movement
from reconcile.snapshot import Snapshot


def book_fees(draft: Draft, source_id: str, movements: Sequence[Movement], fees: list[Leg]) -> None:
    """One expense out of the clearing account, a line for each kind of fee."""
    snapshot = draft.snapshot
    if source_id not in draft.places and source_id not in snapshot.places:
        draft.wait(fees, source_id, "waits_with_charge", "Stripe's fee is recorded together with its charge.")
        return
    totals: dict[str, int] = defaultdict(int)
    for leg in fees:
        totals[leg.kind] -= leg.amount_minor
    accounts = {kind: snapshot.mappings.fees.get(kind) for kind in totals}
    missing = sorted(kind for kind, account in accounts.items() if account is None)
    if missing or snapshot.mappings.fee_vendor is None:
        what = ", ".join(missing) or "the vendor Stripe"
        draft.wait(fees, source_id, "unmapped_account", f"Nothing is chosen in QuickBooks for {what}. Choose it.")
    elif any(total <= 0 for total in totals.values()):
        detail = "Stripe gave back more fees than it took; record it by hand until credits of fees can be posted."
        draft.wait(fees, source_id, "fee_credit", detail)
    else:
        draft.post(share([_fee_purchase(snapshot, source_id, movements, totals)], fees), fees, source_id)


def _fee_purchase(snapshot: Snapshot, source_id: str, movements: Sequence[Movement], totals: dict[str, int]) -> Posting:
    return Posting(
        marker=f"{movements[0].id}:fee:r1:s1",
        kind="purchase",
        dated=book_day(movements[0].created_at, snapshot.time_zone),
        currency=movements[0].currency,
        amount_minor=sum(totals.values()),
        account_id=snapshot.mappings.clearing[movements[0].currency],
        memo=memo(source_id, movements),
        reference=movements[0].id[-REFERENCE_LENGTH:],
        party_id=snapshot.mappings.fee_vendor,
        lines=tuple(
            PostingLine(
                amount_minor=total,
                account_id=snapshot.mappings.fees[kind],
                description=f"{kind.replace('_', ' ').capitalize()} of {source_id}",
            )
            for kind, total in sorted(totals.items())
        ),
    )
