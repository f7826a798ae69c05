"""What Stripe takes for itself: fees on charges and other movements, its own bills, and what it gives back (17)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from reconcile.currencies import rate_on
from reconcile.days import before_cutover, day_of
from reconcile.draft import REFERENCE_LENGTH, Draft, common_problem, cover_by_opening, memo
from reconcile.postings import Leg, Mappings, Posting, PostingLine, Share
from reconcile.records import Movement
from reconcile.snapshot import Snapshot
from reconcile.taxes import has_input_tax

# Kinds that go where another kind goes, unless the accountant chose an account or a tax code of their own.
LIKE = {"fee": "stripe_fee", "stripe_fx_fee": "stripe_fee", "network_cost": "stripe_fee", "tax_fee": "tax"}


def fee_account(mappings: Mappings, kind: str) -> str | None:
    return mappings.fees.get(kind) or mappings.fees.get(LIKE.get(kind, ""))


def fee_tax_code(mappings: Mappings, kind: str) -> str | None:
    return mappings.fee_tax_codes.get(kind) or mappings.fee_tax_codes.get(LIKE.get(kind, ""))


def book_fees(draft: Draft, source_id: str, movements: Sequence[Movement], fees: list[Leg]) -> None:
    """Fees on a charge or refund, which are recorded with it."""
    fees = draft.open_fees(fees)
    if fees and source_id not in draft.places and source_id not in draft.snapshot.places:
        draft.wait(fees, source_id, "waits_with_charge", "Stripe's fee is recorded together with its charge.")
    else:
        book_costs(draft, source_id, movements, fees)


def plan_bill(draft: Draft, movement_id: str, movements: list[Movement]) -> None:
    """A bill of Stripe's own, with no charge behind it (row 17)."""
    (movement,) = movements
    legs = draft.undecided(movements)
    if before_cutover(draft.snapshot, movements):
        cover_by_opening(draft, legs, movement_id)
    elif not draft.is_answered(movement_id, legs):
        own = movement.type if movement.type in LIKE else movement.category
        book_costs(draft, movement_id, movements, legs, {"gross": own})


def book_costs(
    draft: Draft,
    source_id: str,
    movements: Sequence[Movement],
    legs: Sequence[Leg],
    names: Mapping[str, str] | None = None,
) -> None:
    """An expense out of the clearing account with a line for each kind of leg; kinds of which more came back than was
    taken are a deposit into it. `names` renames kinds.
    """
    legs = draft.open_fees(legs)
    if not legs:
        return
    by_kind: dict[str, list[Leg]] = defaultdict(list)
    for leg in legs:
        by_kind[(names or {}).get(leg.kind, leg.kind)].append(leg)
    problem = common_problem(draft.snapshot, movements) or _unmapped(draft.snapshot, by_kind, movements[0].currency)
    if problem:
        draft.wait(legs, source_id, *problem)
        return
    for step, sign in ((1, -1), (2, 1)):
        kinds = {kind: each for kind, each in by_kind.items() if sign * sum(leg.amount_minor for leg in each) > 0}
        if kinds:
            booked = [leg for each in kinds.values() for leg in each]
            draft.post([_cost(draft.snapshot, source_id, movements, kinds, step)], booked, source_id)
    nothing = [leg for each in by_kind.values() if not sum(leg.amount_minor for leg in each) for leg in each]
    draft.cancel_out(nothing, source_id, "Taken and given back by Stripe; nothing is left to record.")


def fee_vendor(snapshot: Snapshot, currency: str) -> str | None:
    """Who stands for Stripe: QuickBooks gives each vendor exactly one currency."""
    mappings = snapshot.mappings
    return mappings.fee_vendor if currency == snapshot.home_currency else mappings.foreign_vendors.get(currency)


def _unmapped(snapshot: Snapshot, kinds: Mapping[str, list[Leg]], currency: str) -> tuple[str, str] | None:
    missing = sorted(kind for kind in kinds if fee_account(snapshot.mappings, kind) is None)
    uncoded = sorted(kind for kind in kinds if fee_tax_code(snapshot.mappings, kind) is None)
    if uncoded and has_input_tax(snapshot.levies):
        return "unmapped_tax", f"No tax code is chosen for Stripe's fees of the kind {', '.join(uncoded)}. Choose one."
    if not missing and fee_vendor(snapshot, currency) is not None:
        return None
    what = ", ".join(missing) or f"the vendor Stripe in {currency}"
    return "unmapped_account", f"Nothing is chosen in QuickBooks for {what}. Choose it."


def _cost(
    snapshot: Snapshot, source_id: str, movements: Sequence[Movement], kinds: Mapping[str, list[Leg]], step: int
) -> Posting:
    """Step 1 is what Stripe took, step 2 what it gave back: QuickBooks has no expense below zero.

    Tax on fees whose code reclaims it is the document's tax, else a line of its own.
    """
    day, currency = day_of(snapshot, movements), movements[0].currency
    totals = {kind: abs(sum(leg.amount_minor for leg in legs)) for kind, legs in sorted(kinds.items())}
    codes = {kind: snapshot.levies.get(fee_tax_code(snapshot.mappings, kind) or "") for kind in totals}
    reclaimed = any(code.purchases for code in codes.values() if code)
    tax = totals.get("tax", 0) if reclaimed and len(totals) > 1 else 0
    return Posting(
        marker=f"{movements[0].id}:fee:r1:s{step}",
        kind="purchase" if step == 1 else "deposit",
        dated=day,
        currency=currency,
        exchange_rate=rate_on(snapshot, currency, day),
        amount_minor=sum(totals.values()),
        account_id=snapshot.mappings.clearing[currency],
        memo=memo(source_id, movements),
        reference=movements[0].id[-REFERENCE_LENGTH:],
        party_id=fee_vendor(snapshot, currency),
        tax_minor=tax,
        lines=tuple(
            PostingLine(
                amount_minor=total,
                account_id=fee_account(snapshot.mappings, kind),
                description=f"{kind.replace('_', ' ').capitalize()} of {source_id}",
                tax_code=code.id if (code := codes[kind]) else None,
            )
            for kind, total in totals.items()
            if not (tax and kind == "tax")
        ),
        shares=tuple(Share(leg_id=leg.id, amount_minor=leg.amount_minor) for legs in kinds.values() for leg in legs),
    )
