"""The frozen model of probabilities: what each agreement tells, in numbers that do not change by themselves.

A pair's *weight* is the binary logarithm of its odds, in thousandths of a bit (milli-bits, integers): 1,000 more and a
pair is twice as likely. For a level of a field it is `log2(m / u)`: m is how often pairs that belong together show the
level, u how often random pairs do. Both are integers per million.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from hashlib import sha256

PPM = 1_000_000
# The levels of each field, the strongest first: their weights must not rise. A missing value tells nothing.
LEVELS = {
    "name": ("equal", "close", "similar", "weak", "differs"),
    "email": ("equal", "differs"),
    "date": ("same days", "same month", "later", "before"),
    "text": ("silent", "names another"),
}
ORDERED = ("name", "email")
# How often each level shows, per million: (m, u). Fitted to the labelled workload of benchmarks/, seeds 101 to 103.
DEFAULT_RATES = {
    "name": {
        "equal": (800_000, 1_000),
        "close": (120_000, 1_500),
        "similar": (50_000, 6_000),
        "weak": (20_000, 60_000),
        "differs": (10_000, 931_500),
    },
    "email": {"equal": (985_000, 500), "differs": (15_000, 999_500)},
    "date": {
        "same days": (500_000, 60_000),
        "same month": (370_000, 330_000),
        "later": (110_000, 530_000),
        "before": (20_000, 80_000),
    },
    "text": {"silent": (990_000, 900_000), "names another": (10_000, 100_000)},
}
Rates = Mapping[str, Mapping[str, tuple[int, int]]]


class ModelError(ValueError):
    """A model that cannot be right: its labels have switched, or a level is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Frozen parameters. `thresholds` gives, by tier, the certified probability (per million) from which it may accept.

    A tier without a certified threshold only proposes; so do all tiers of the model that is shipped. `partner_ppm` is
    the chance that an item has a partner at all; `gate` (milli-bits) is how much worse the best answer without a pair
    must be for that pair not to be ambiguous.
    """

    rates: Rates = field(default_factory=lambda: DEFAULT_RATES)
    partner_ppm: int = 900_000
    gate: int = 3_000
    thresholds: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.partner_ppm < PPM:
            raise ModelError("The chance of a partner must lie between 0 and 1.")
        for name, levels in LEVELS.items():
            if set(self.rates.get(name, ())) != set(levels):
                raise ModelError(f"The model must know exactly the levels {', '.join(levels)} of {name}.")
            if any(not 0 < rate < PPM for pair in self.rates[name].values() for rate in pair):
                raise ModelError(f"A rate of {name} is not between 0 and 1.")
        for name in ORDERED:
            weights = [self.weights(name)[level] for level in LEVELS[name]]
            if weights[0] <= 0 or weights != sorted(weights, reverse=True):
                raise ModelError(f"Agreement of {name} must speak for a pair, and less agreement less so.")

    def weights(self, name: str) -> dict[str, int]:
        """Milli-bits by level of a field."""
        return {level: milli_bits(m, u) for level, (m, u) in self.rates[name].items()}

    @property
    def prior(self) -> int:
        """Milli-bits: having a partner against having none."""
        return milli_bits(self.partner_ppm, PPM - self.partner_ppm)

    def certified(self, thresholds: Mapping[str, int]) -> "Model":
        """The model with these tiers' thresholds (per million)."""
        return replace(self, thresholds=dict(thresholds))

    @property
    def version(self) -> str:
        """A digest of every parameter."""
        return sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Model":
        """Raises ModelError for what is no model."""
        try:
            raw = json.loads(text)
            rates = {
                name: {level: (int(m), int(u)) for level, (m, u) in levels.items()}
                for name, levels in raw["rates"].items()
            }
            thresholds = {str(tier): int(ppm) for tier, ppm in raw["thresholds"].items()}
            return cls(rates=rates, partner_ppm=int(raw["partner_ppm"]), gate=int(raw["gate"]), thresholds=thresholds)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise error if isinstance(error, ModelError) else ModelError(f"This is no model: {error}.") from error


@cache
def milli_bits(numerator: int, denominator: int) -> int:
    """`log2` of a ratio of positive integers, in thousandths, rounded."""
    return round(1_000 * (math.log2(numerator) - math.log2(denominator)))
