"""The ground truth of a world: what really happened. Nothing but tests reads it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

# A charge of these can be matched without a person: an explicit link, an id, or a unique number with the open amount.
CLEAN = ("linked", "reference", "several", "partial", "overpaid", "partial_capture", "recorded_by_id")
# These leave a question, each for a reason one can name.
MESSY = ("foreign_eur", "foreign_jpy", "retainer", "hand_recorded", "wrong_reference", "no_reference", "equal_invoices")


@dataclass
class Paid:
    """A part of a charge and the QuickBooks invoice it pays; minor units."""

    invoice_id: str
    doc_number: str
    amount_minor: int


@dataclass
class ChargeTruth:
    """`category`: one of CLEAN, MESSY, "before_cutover" or "failed". Only the last one moved no money."""

    id: str
    category: str
    currency: str
    amount_minor: int
    pays: list[Paid] = field(default_factory=list)
    movement: str | None = None
    payout: str | None = None
    refunds: list[str] = field(default_factory=list)
    disputes: dict[str, str] = field(default_factory=dict)  # id -> needs_response, won or lost

    @property
    def is_clean(self) -> bool:
        return self.category in CLEAN


@dataclass
class HandRecorded:
    """A document somebody typed in, and the Stripe object it records; `names_it` if it carries that object's id."""

    entity: str
    id: str
    stripe_id: str
    names_it: bool


@dataclass
class Truth:
    seed: int
    months: int
    cutover: str = ""
    until: str = ""
    charges: list[ChargeTruth] = field(default_factory=list)
    hand_recorded: list[HandRecorded] = field(default_factory=list)
    payouts_over_cutover: list[str] = field(default_factory=list)  # made before it, arrived after it
    mixed_payouts: list[str] = field(default_factory=list)  # made after it, holding movements from before it
    unpaid_invoices: list[str] = field(default_factory=list)

    def of(self, *categories: str) -> list[ChargeTruth]:
        return [charge for charge in self.charges if charge.category in categories]

    def charge(self, charge_id: str) -> ChargeTruth:
        return next(charge for charge in self.charges if charge.id == charge_id)

    def write(self, path: Path) -> None:
        path.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2))


def read(path: Path) -> Truth:
    body = orjson.loads(path.read_bytes())
    body["charges"] = [ChargeTruth(**row | {"pays": [Paid(**paid) for paid in row["pays"]]}) for row in body["charges"]]
    body["hand_recorded"] = [HandRecorded(**row) for row in body["hand_recorded"]]
    return Truth(**body)
