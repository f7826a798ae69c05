"""What kind of Stripe account the stand-in is."""

from dataclasses import dataclass, field

API_VERSION = "2026-10-28.endive"
KEY = "sk_test_tieout_emulator"

DAY_S = 86_400
EVENT_DAYS = 30
IDEMPOTENCY_S = DAY_S


@dataclass(frozen=True)
class Account:
    """Times of day are UTC, as at Stripe; `timezone` is what the dashboard and its reports use."""

    id: str = "acct_1TieoutEmulator00"
    name: str = "Emulated Company"
    email: str = "books@example.com"
    country: str = "US"
    timezone: str = "America/New_York"
    default_currency: str = "usd"
    settlement_currencies: tuple[str, ...] = ("usd",)
    payout_interval: str = "daily"  # or "manual"
    payout_delay_days: int = 2  # business days from a charge until its money is available
    payout_transit_days: int = 2  # business days from the payout until it is in the bank
    debit_negative_balances: bool = False  # a negative balance is debited from the bank: a payout below zero
    bank_debit_days: int = 4  # business days until a bank debit succeeds
    fee_tax_bps: int = 0  # tax on Stripe's fees, a `tax` line of its own among the fee details
    dispute_fee: int = 1_500
    dispute_fee_returned: bool = True  # with the money of a dispute that is won


@dataclass
class Hooks:
    """How badly events are told. The first two are probabilities of a delivery."""

    duplicates: float = 0.0
    disorder: float = 0.0  # held back for some seconds, so that later events overtake it
    mute: bool = False  # what happens now is neither delivered nor ever listed
    thin: bool = False  # deliveries are thin events
    thin_name_classic: bool = True  # and say which classic event they stand for (whether Stripe's do is not certain)
    timeout_s: float = 5.0
    retry_s: tuple[int, ...] = (1, 5, 30, 300, 3_600, 7_200, 21_600, 43_200, DAY_S, DAY_S)
    disorder_s: int = 3


@dataclass
class Rates:
    """What one unit of a currency is worth in US dollars, in millionths. A world may change them from day to day."""

    usd_ppm: dict[str, int] = field(
        default_factory=lambda: {
            "usd": 1_000_000, "eur": 1_083_400, "gbp": 1_271_900, "jpy": 6_712, "cad": 731_500, "aud": 657_300,
            "chf": 1_132_000, "mxn": 54_100, "sek": 95_600, "nok": 93_800, "dkk": 145_200, "nzd": 601_000,
            "inr": 11_900, "brl": 182_000, "krw": 726, "kwd": 3_256_000,
        }
    )  # fmt: skip
