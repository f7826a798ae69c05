"""The knobs of the rule tiers, as data: windows in days, name scores from 0 to 100."""

from dataclasses import asdict, dataclass
from hashlib import sha256

# Where people put the number of an invoice when Stripe has no field for it; the first that is there counts.
REFERENCE_FIELDS = ("invoice", "invoice_number", "order", "reference", "qbo_invoice_number", "order_id", "order_number")
# Raised whenever the tiers themselves change, so that a stored match can say which rules made it.
TIERS_VERSION = "3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How far apart two records may be and still be candidates for each other.

    An invoice is looked for from `invoice_days_before` days before the charge to `invoice_days_after` days after it;
    a document typed in by hand (payment, refund receipt) from `record_days_before` to `record_days_after`; a transfer
    or deposit around a payout's arrival from `payout_days_before` to `payout_days_after`; one expense for the fees of
    many payments up to `fees_days` before or after the last of them.
    A customer's key that would make more than `pairs_max` pairs of one amount is not followed.
    Names agree from the score `name_agrees` on and contradict each other below `name_differs`.

    `reference_fields` are the keys of Stripe's metadata that may hold the number of an invoice, the first that is there
    counts; `reads_description` whether the description may name one too. With `reference_patterns` ("INV-#", # for any
    digits) only what looks like one of them is such a number. `only_propose` are tiers that take nothing by themselves
    even where they are certified.
    """

    invoice_days_before: int = 90
    invoice_days_after: int = 7
    record_days_before: int = 7
    record_days_after: int = 14
    payout_days_before: int = 3
    payout_days_after: int = 10
    fees_days: int = 31
    name_agrees: int = 80
    name_differs: int = 60
    pairs_max: int = 100_000
    reference_fields: tuple[str, ...] = REFERENCE_FIELDS
    reference_patterns: tuple[str, ...] = ()
    reads_description: bool = True
    only_propose: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """Names these rules: the version of the tiers and a digest of the knobs."""
        knobs = ",".join(f"{name}={value}" for name, value in sorted(asdict(self).items()))
        return f"{TIERS_VERSION}-{sha256(knobs.encode()).hexdigest()[:12]}"
