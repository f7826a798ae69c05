"""The plan: which documents to write for the movements of a snapshot, and where every leg stands.

Pure. Each rule is a row of docs/ACCOUNTING.md; a movement without a rule waits, itemised by its category.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from reconcile.legs import fees_of, gross_of, legs_of
from reconcile.matching import MatchResult, Verdict
from reconcile.money import Money
from reconcile.postings import Leg, LegDecision, LegState, Plan, Posting, PostingLine, Share
from reconcile.records import Applied, Charge, Movement, Payout, Refund
from reconcile.snapshot import Opening, Place, Snapshot

REFERENCE_LENGTH = 21  # QuickBooks' limit for short reference fields


def plan(snapshot: Snapshot, matches: MatchResult) -> Plan:
    """Decides every open leg of the snapshot; equal snapshots and matches give equal plans."""
    draft = _Draft(snapshot, matches)
    _plan_openings(draft)
    groups = _group(snapshot)
    for rule, planner in (("charge", _plan_charge), ("refund", _plan_refund), ("payout", _plan_payout)):
        for source_id in sorted(groups[rule]):
            planner(draft, source_id, groups[rule][source_id])
    for source_id, movements in sorted(groups["other"].items()):
        _wait_unmapped(draft, source_id, movements)
    return Plan(postings=tuple(draft.postings), decisions=tuple(draft.decisions))


def book_day(instant: datetime, time_zone: str) -> date:
    """The calendar day of an instant where the books are kept."""
    return instant.astimezone(ZoneInfo(time_zone)).date()


@dataclass
class _Draft:
    """What the plan is so far."""

    snapshot: Snapshot
    matches: MatchResult
    postings: list[Posting] = field(default_factory=list)
    decisions: list[LegDecision] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    taken: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    openings: dict[str, str] = field(default_factory=dict)

    def undecided(self, movements: Sequence[Movement]) -> list[Leg]:
        return [leg for movement in movements for leg in legs_of(movement) if leg.id not in self.snapshot.decided_legs]

    def decide(
        self,
        legs: Sequence[Leg],
        source_id: str,
        state: LegState,
        reason: str,
        detail: str,
        *,
        documents: Sequence[str] = (),
        markers: Sequence[str] = (),
    ) -> None:
        self.decisions += [
            LegDecision(
                leg=leg,
                state=state,
                reason=reason,
                detail=detail,
                source_id=source_id,
                document_ids=tuple(documents),
                markers=tuple(markers),
            )
            for leg in legs
        ]

    def wait(self, legs: Sequence[Leg], source_id: str, reason: str, detail: str) -> None:
        self.decide(legs, source_id, "waiting", reason, detail)

    def post(self, postings: Sequence[Posting], legs: Sequence[Leg], source_id: str) -> None:
        self.postings += postings
        markers = [posting.marker for posting in postings]
        self.decide(
            legs, source_id, "waiting", "queued", "Goes into QuickBooks with the next posting.", markers=markers
        )


# ---- what a movement belongs to


def _group(snapshot: Snapshot) -> dict[str, dict[str, list[Movement]]]:
    """Movements by rule and source: a charge together with the reversal of what was not captured."""
    groups: dict[str, dict[str, list[Movement]]] = defaultdict(lambda: defaultdict(list))
    for movement in sorted(snapshot.movements, key=lambda m: (m.created_at, m.id)):
        rule, source_id = _rule_of(movement, snapshot)
        groups[rule][source_id].append(movement)
    return groups


def _rule_of(movement: Movement, snapshot: Snapshot) -> tuple[str, str]:
    source = movement.source_id or movement.id
    if movement.balance_type != "payments":
        return "other", source
    match movement.category:
        case "charge" if source in snapshot.charges:
            return "charge", source
        case "partial_capture_reversal":
            refund = snapshot.refunds.get(source)
            charge = refund.charge_id if refund else source
            return ("charge", charge) if charge in snapshot.charges else ("other", source)
        case "refund" if source in snapshot.refunds:
            return "refund", source
        case "payout" if source in snapshot.payouts:
            return "payout", source
    return "other", source


# ---- opening balance (rows 21 and 22)


def _plan_openings(draft: _Draft) -> None:
    draft.openings.update(draft.snapshot.opening_markers)
    for opening in draft.snapshot.openings:
        problem = _opening_problem(draft.snapshot, opening)
        if not problem and opening.currency not in draft.openings:
            draft.openings[opening.currency] = _opening_marker(draft.snapshot, opening.currency)
            draft.postings += _opening_posting(draft.snapshot, opening)


def _opening_problem(snapshot: Snapshot, opening: Opening) -> str | None:
    if opening.currency != snapshot.home_currency:
        return "foreign_currency"
    if opening.currency not in snapshot.mappings.clearing or not snapshot.mappings.opening_account:
        return "unmapped_account"
    return "closed_period" if _closed(snapshot, snapshot.cutover) else None


def _opening_posting(snapshot: Snapshot, opening: Opening) -> list[Posting]:
    """Brings the clearing account to Stripe's balance plus what was on its way to the bank; nothing if it is there."""
    amount = opening.stripe_minor + opening.in_transit_minor - opening.existing_minor
    clearing, other = snapshot.mappings.clearing[opening.currency], snapshot.mappings.opening_account
    if not amount:
        return []
    memo = (
        f"Stripe balance at the start of {snapshot.cutover}: {Money(opening.stripe_minor, opening.currency)}; "
        f"payouts on their way then: {Money(opening.in_transit_minor, opening.currency)}; "
        f"already in this account: {Money(opening.existing_minor, opening.currency)}"
    )
    return [
        Posting(
            marker=_opening_marker(snapshot, opening.currency),
            kind="journal_entry",
            dated=snapshot.cutover,
            currency=opening.currency,
            amount_minor=abs(amount),
            account_id=clearing,
            memo=memo,
            reference=f"TIEOUT-OPENING-{opening.currency}",
            lines=(
                PostingLine(amount_minor=amount, account_id=clearing, description="Stripe opening balance"),
                PostingLine(amount_minor=-amount, account_id=other, description="Stripe opening balance"),
            ),
        )
    ]


def _opening_marker(snapshot: Snapshot, currency: str) -> str:
    return f"{snapshot.account_id}:opening-{currency.lower()}:r1:s1"


def _cover_by_opening(draft: _Draft, legs: Sequence[Leg], source_id: str) -> None:
    """A movement from before the cut-over is in the opening balance: listed, never posted again."""
    if not legs:
        return
    marker = draft.openings.get(legs[0].currency)
    if marker is None:
        detail = "Made before the cut-over; the opening balance that covers it is not posted yet."
        draft.wait(legs, source_id, "opening", detail)
    else:
        detail = "Made before the cut-over: part of the opening balance."
        draft.decide(legs, source_id, "posted", "opening", detail, markers=[marker])


# ---- charges (rows 1 to 5, 7)


def _plan_charge(draft: _Draft, charge_id: str, movements: list[Movement]) -> None:
    snapshot, charge = draft.snapshot, draft.snapshot.charges[charge_id]
    legs = draft.undecided(movements)
    if _before_cutover(snapshot, movements):
        draft.places[charge_id] = Place(customer_id=None, in_books=False)
        _cover_by_opening(draft, legs, charge_id)
        return
    gross, fees = gross_of(legs), fees_of(legs)
    problem = _charge_problem(snapshot, charge, movements)
    if problem:
        draft.wait(legs, charge_id, *problem)
        return
    if gross:
        _book_charge(draft, charge, movements, gross)
    if fees:
        _book_fees(draft, charge_id, movements, fees)


def _charge_problem(snapshot: Snapshot, charge: Charge, movements: Sequence[Movement]) -> tuple[str, str] | None:
    if charge.captured_minor < charge.amount_minor and len(movements) == 1 and movements[0].id == charge.movement_id:
        open_part = Money(charge.amount_minor - charge.captured_minor, charge.currency)
        return "awaiting_reversal", f"{open_part} of this charge was not captured; Stripe's entry for that is awaited."
    return _common_problem(snapshot, charge.currency, movements)


def _book_charge(draft: _Draft, charge: Charge, movements: Sequence[Movement], gross: list[Leg]) -> None:
    verdict = draft.matches.verdict(charge.id)
    if verdict.decision == "auto" and verdict.role == "already_recorded":
        documents = [allocation.ledger_id for allocation in verdict.allocations]
        draft.decide(gross, charge.id, "matched", "already_recorded", verdict.text, documents=documents)
        document = draft.snapshot.documents.get(documents[0])
        draft.places[charge.id] = Place(customer_id=document.customer_id if document else None)
    elif verdict.decision == "auto":
        _pay_invoices(draft, charge, movements, gross, verdict)
    elif verdict.decision == "proposed" or verdict.code not in ("", "UNMATCHED_STRIPE"):
        draft.wait(gross, charge.id, verdict.code or "proposed", verdict.text)
    else:
        _book_without_invoice(draft, charge, movements, gross, verdict)


def _pay_invoices(
    draft: _Draft, charge: Charge, movements: Sequence[Movement], gross: list[Leg], verdict: Verdict
) -> None:
    """One payment a customer; what the invoices cannot take stays with the (only) customer as credit."""
    snapshot, total = draft.snapshot, sum(leg.amount_minor for leg in gross)
    by_customer: dict[str, list[Applied]] = defaultdict(list)
    for allocation in verdict.allocations:
        document = snapshot.documents[allocation.ledger_id]
        free = document.open_minor - snapshot.pending.get(document.id, 0) - draft.taken[document.id]
        amount = max(0, min(allocation.amount_minor, free))
        by_customer[document.customer_id or ""].append(Applied(id=document.id, amount_minor=amount))
    applied = sum(line.amount_minor for lines in by_customer.values() for line in lines)
    if "" in by_customer or (len(by_customer) > 1 and applied != total):
        detail = "It pays invoices of several customers, but they do not take the whole amount. Split it by hand."
        draft.wait(gross, charge.id, "SPLIT_AMBIGUOUS", detail)
        return
    postings = []
    for step, (customer_id, lines) in enumerate(sorted(by_customer.items()), start=1):
        amount = total if len(by_customer) == 1 else sum(line.amount_minor for line in lines)
        kept = tuple(line for line in lines if line.amount_minor)
        for line in kept:
            draft.taken[line.id] += line.amount_minor
        postings.append(_payment(snapshot, charge, movements, customer_id, amount, kept, step))
    draft.post(_share(postings, gross), gross, charge.id)
    taxed = any(snapshot.documents[line.ledger_id].tax_minor for line in verdict.allocations)
    draft.places[charge.id] = Place(
        customer_id=postings[0].party_id, marker=postings[0].marker, unapplied_minor=total - applied, taxed=taxed
    )


def _book_without_invoice(
    draft: _Draft, charge: Charge, movements: Sequence[Movement], gross: list[Leg], verdict: Verdict
) -> None:
    """Row 5, by policy; a customer must be known."""
    snapshot, policy = draft.snapshot, draft.snapshot.policies.charge_without_invoice
    total = sum(leg.amount_minor for leg in gross)
    if policy == "wait":
        text = verdict.text or "No invoice in QuickBooks is named, and none fits. Choose one, or record it without."
        draft.wait(gross, charge.id, "no_invoice", text)
    elif verdict.customer_id is None:
        who = charge.customer_name or charge.customer_email or "its customer"
        detail = f"No invoice fits, and QuickBooks has no customer that is certainly {who}. Choose the customer."
        draft.wait(gross, charge.id, "unknown_customer", detail)
    elif policy == "unapplied_payment":
        posting = _payment(snapshot, charge, movements, verdict.customer_id, total, (), 1)
        draft.post(_share([posting], gross), gross, charge.id)
        draft.places[charge.id] = Place(customer_id=verdict.customer_id, marker=posting.marker, unapplied_minor=total)
    elif snapshot.mappings.sales_item is None:
        draft.wait(gross, charge.id, "unmapped_item", "No item is chosen for sales without an invoice. Choose one.")
    else:
        posting = _receipt(snapshot, "sales_receipt", charge.id, movements, total, verdict.customer_id)
        draft.post(_share([posting], gross), gross, charge.id)
        draft.places[charge.id] = Place(customer_id=verdict.customer_id, marker=posting.marker)


def _payment(
    snapshot: Snapshot,
    charge: Charge,
    movements: Sequence[Movement],
    customer_id: str,
    amount: int,
    applied: tuple[Applied, ...],
    step: int,
) -> Posting:
    return Posting(
        marker=f"{movements[0].id}:charge:r1:s{step}",
        kind="payment",
        dated=book_day(movements[0].created_at, snapshot.time_zone),
        currency=charge.currency,
        amount_minor=amount,
        account_id=snapshot.mappings.clearing[movements[0].currency],
        memo=_memo(charge.id, movements),
        reference=charge.id[-REFERENCE_LENGTH:],
        party_id=customer_id,
        applied=applied,
    )


def _receipt(
    snapshot: Snapshot,
    kind: str,
    source_id: str,
    movements: Sequence[Movement],
    amount: int,
    customer_id: str,
    after: str | None = None,
) -> Posting:
    sale = kind == "sales_receipt"
    item = snapshot.mappings.sales_item if sale else snapshot.mappings.refund_item
    return Posting(
        marker=f"{movements[0].id}:{'charge' if sale else 'refund'}:r1:s1",
        kind="sales_receipt" if sale else "refund_receipt",
        dated=book_day(movements[0].created_at, snapshot.time_zone),
        currency=movements[0].currency,
        amount_minor=amount,
        account_id=snapshot.mappings.clearing[movements[0].currency],
        memo=_memo(source_id, movements),
        reference=source_id[-REFERENCE_LENGTH:],
        party_id=customer_id,
        lines=(PostingLine(amount_minor=amount, item_id=item, description=f"Stripe {source_id}"),),
        after=after,
    )


# ---- fees (row 1)


def _book_fees(draft: _Draft, source_id: str, movements: Sequence[Movement], fees: list[Leg]) -> None:
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
        draft.post(_share([_fee_purchase(snapshot, source_id, movements, totals)], fees), fees, source_id)


def _fee_purchase(snapshot: Snapshot, source_id: str, movements: Sequence[Movement], totals: dict[str, int]) -> Posting:
    return Posting(
        marker=f"{movements[0].id}:fee:r1:s1",
        kind="purchase",
        dated=book_day(movements[0].created_at, snapshot.time_zone),
        currency=movements[0].currency,
        amount_minor=sum(totals.values()),
        account_id=snapshot.mappings.clearing[movements[0].currency],
        memo=_memo(source_id, movements),
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


# ---- refunds (row 8)


def _plan_refund(draft: _Draft, refund_id: str, movements: list[Movement]) -> None:
    snapshot, refund = draft.snapshot, draft.snapshot.refunds[refund_id]
    legs = draft.undecided(movements)
    if _before_cutover(snapshot, movements):
        _cover_by_opening(draft, legs, refund_id)
        return
    gross, fees = gross_of(legs), fees_of(legs)
    problem = _common_problem(snapshot, refund.currency, movements)
    if problem:
        draft.wait(legs, refund_id, *problem)
        return
    if gross:
        _book_refund(draft, refund, movements, gross)
    draft.wait(fees, refund_id, "unmapped_category", "Fees of refunds are not posted yet; record this one by hand.")


def _book_refund(draft: _Draft, refund: Refund, movements: Sequence[Movement], gross: list[Leg]) -> None:
    verdict = draft.matches.verdict(refund.id)
    if verdict.decision == "auto" and verdict.role == "already_recorded":
        documents = [allocation.ledger_id for allocation in verdict.allocations]
        draft.decide(gross, refund.id, "matched", "already_recorded", verdict.text, documents=documents)
        return
    place = draft.places.get(refund.charge_id or "") or draft.snapshot.places.get(refund.charge_id or "")
    problem = _refund_problem(draft.snapshot, verdict, place)
    if problem or place is None or place.customer_id is None:
        draft.wait(gross, refund.id, *(problem or ("waits_with_charge", "Its charge is not in the books.")))
        return
    amount = -sum(leg.amount_minor for leg in gross)
    posting = _receipt(
        draft.snapshot, "refund_receipt", refund.id, movements, amount, place.customer_id, after=place.marker
    )
    draft.post(_share([posting], gross), gross, refund.id)


def _refund_problem(snapshot: Snapshot, verdict: Verdict, place: Place | None) -> tuple[str, str] | None:
    if verdict.decision == "proposed":
        return verdict.code or "proposed", verdict.text
    if place is None:
        return "waits_with_charge", "Its charge is not in the books yet; settle the charge first."
    if place.customer_id is None:
        return (
            "charge_before_cutover",
            "It refunds a charge from before the cut-over. Choose the customer it belongs to.",
        )
    if place.unapplied_minor:
        return "refund_of_credit", "The charge left a credit with the customer: decide whether this gives that back."
    if place.taxed:
        return (
            "refund_with_tax",
            "The invoice carries tax; the refund's share of it is not posted yet. Record it by hand.",
        )
    if snapshot.mappings.refund_item is None:
        return "unmapped_item", "No item is chosen for refunds. Choose one."
    return None


# ---- payouts (row 14)


def _plan_payout(draft: _Draft, payout_id: str, movements: list[Movement]) -> None:
    snapshot, payout = draft.snapshot, draft.snapshot.payouts[payout_id]
    legs = draft.undecided(movements)
    if payout.arrives_on < snapshot.cutover:
        _cover_by_opening(draft, legs, payout_id)
        return
    gross, fees = gross_of(legs), fees_of(legs)
    problem = _payout_problem(snapshot, payout)
    verdict = draft.matches.verdict(payout_id)
    if verdict.decision == "auto" and verdict.role == "already_recorded":
        documents = [allocation.ledger_id for allocation in verdict.allocations]
        draft.decide(gross, payout_id, "matched", "already_recorded", verdict.text, documents=documents)
    elif verdict.decision == "proposed":
        draft.wait(gross, payout_id, verdict.code or "proposed", verdict.text)
    elif problem:
        draft.wait(gross, payout_id, *problem)
    elif gross:
        draft.post(_share([_transfer(snapshot, payout, movements)], gross), gross, payout_id)
    draft.wait(fees, payout_id, "unmapped_category", "Fees of payouts are not posted yet; record this one by hand.")


def _payout_problem(snapshot: Snapshot, payout: Payout) -> tuple[str, str] | None:
    if payout.status in ("pending", "in_transit"):
        return "in_transit", f"On its way to the bank; expected on {payout.arrives_on}."
    if payout.status != "paid":
        return "payout_failed", f"Stripe says this payout is {payout.status}; nothing is posted for it."
    if payout.amount_minor <= 0:
        return "unmapped_category", "Stripe took money from the bank; such payouts are not posted yet."
    if payout.currency != snapshot.home_currency:
        return _foreign(payout.currency)
    if payout.currency not in snapshot.mappings.bank or payout.currency not in snapshot.mappings.clearing:
        return "unmapped_account", f"No bank account is chosen for payouts in {payout.currency}. Choose one."
    return _closed_problem(snapshot, payout.arrives_on)


def _transfer(snapshot: Snapshot, payout: Payout, movements: Sequence[Movement]) -> Posting:
    return Posting(
        marker=f"{movements[0].id}:payout:r1:s1",
        kind="transfer",
        dated=payout.arrives_on,
        currency=payout.currency,
        amount_minor=payout.amount_minor,
        account_id=snapshot.mappings.clearing[payout.currency],
        other_account_id=snapshot.mappings.bank[payout.currency],
        memo=_memo(payout.id, movements),
        reference=payout.id[-REFERENCE_LENGTH:],
    )


# ---- everything else


def _wait_unmapped(draft: _Draft, source_id: str, movements: list[Movement]) -> None:
    for movement in movements:
        legs = draft.undecided([movement])
        if _before_cutover(draft.snapshot, [movement]):
            _cover_by_opening(draft, legs, source_id)
        else:
            name = movement.category.replace("_", " ")
            detail = f"Tieout does not post entries of the kind “{name}” yet. Record it by hand."
            draft.wait(legs, source_id, "unmapped_category", detail)


# ---- shared


def _common_problem(snapshot: Snapshot, paid_currency: str, movements: Sequence[Movement]) -> tuple[str, str] | None:
    settled = movements[0].currency
    for currency in (paid_currency, settled):
        if currency != snapshot.home_currency:
            return _foreign(currency)
    if settled not in snapshot.mappings.clearing:
        return "unmapped_account", f"No clearing account is chosen for {settled}. Choose one."
    return _closed_problem(snapshot, book_day(movements[0].created_at, snapshot.time_zone))


def _foreign(currency: str) -> tuple[str, str]:
    return "foreign_currency", f"Entries in {currency} are not posted yet. Record it by hand."


def _closed(snapshot: Snapshot, day: date) -> bool:
    return snapshot.closed_through is not None and day <= snapshot.closed_through


def _closed_problem(snapshot: Snapshot, day: date) -> tuple[str, str] | None:
    if not _closed(snapshot, day):
        return None
    detail = (
        f"The books are closed through {snapshot.closed_through}, and this belongs to {day}. Reopen them, then retry."
    )
    return "closed_period", detail


def _before_cutover(snapshot: Snapshot, movements: Sequence[Movement]) -> bool:
    return book_day(movements[0].created_at, snapshot.time_zone) < snapshot.cutover


def _memo(source_id: str, movements: Sequence[Movement]) -> str:
    return " ".join([source_id, *(movement.id for movement in movements)])


def _share(postings: list[Posting], legs: Sequence[Leg]) -> list[Posting]:
    """Says which part of which leg each posting books: legs are used up in order, each to the last cent."""
    rest = [(leg.id, leg.amount_minor) for leg in legs]
    shared = []
    for posting in postings:
        if len(postings) == 1:
            shares = tuple(Share(leg_id=leg_id, amount_minor=amount) for leg_id, amount in rest)
        else:  # several payments of one gross leg
            shares = (Share(leg_id=rest[0][0], amount_minor=posting.amount_minor),)
        shared.append(replace(posting, shares=shares))
    return shared
