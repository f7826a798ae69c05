"""Minor units, rates and Stripe's prices, in integers."""

from emulators.stripe.errors import Body, invalid
from emulators.stripe.settings import Account, Rates

ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
WHOLE_ONLY = frozenset(("isk", "ugx"))  # two decimals in the API, which must be zeros

PRICES_BPS = {"card": 290, "us_bank_account": 80, "sepa_debit": 80}
INTERNATIONAL_BPS, CONVERSION_BPS = 150, 100
FIXED_FEES = {"usd": 30, "eur": 25, "gbp": 20, "cad": 30, "aud": 30, "jpy": 30, "chf": 30}
SMALLEST = {"usd": 50, "eur": 50, "gbp": 30, "cad": 50, "aud": 50, "chf": 50, "jpy": 50}


def exponent(currency: str) -> int:
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def check_amount(amount: int, currency: str) -> None:
    if amount < SMALLEST.get(currency, 1):
        message = f"Amount must be at least {SMALLEST[currency]} in the smallest unit of {currency}."
        raise invalid(message, param="amount", code="amount_too_small")
    if amount > 99_999_999:
        message = "Amount must be no more than 99999999 in the smallest unit of the currency."
        raise invalid(message, param="amount", code="amount_too_large")
    if currency in WHOLE_ONLY and amount % 100:
        message = f"Amounts in {currency} must be divisible by 100."
        raise invalid(message, param="amount", code="parameter_invalid_integer")
    if currency in THREE_DECIMAL and amount % 10:
        message = "Amounts of three-decimal currencies must end in 0."
        raise invalid(message, param="amount", code="parameter_invalid_integer")


def share(amount: int, parts: int, whole: int) -> int:
    """amount * parts / whole, halves away from zero."""
    size = (2 * abs(amount) * parts + whole) // (2 * whole)
    return size if amount >= 0 else -size


def rate_ppm(rates: Rates, source: str, target: str) -> int:
    """A millionth of BalanceTransaction.exchange_rate: minor units of `target` for a million of `source`."""
    known = rates.usd_ppm
    if source not in known or target not in known:
        raise invalid(f"Invalid currency: {source}", param="currency")
    numerator, denominator = known[source], known[target]
    shift = exponent(target) - exponent(source)
    scale: int = 10 ** abs(shift)
    numerator, denominator = (numerator * scale, denominator) if shift > 0 else (numerator, denominator * scale)
    return numerator * 1_000_000 // denominator


def settlement_currency(account: Account, currency: str) -> str:
    return currency if currency in account.settlement_currencies else account.default_currency


def processing_fees(
    account: Account, settled: int, currency: str, method: str, *, abroad: bool, fx: bool
) -> list[Body]:
    """The fee details of a charge of `settled` in its settlement currency."""
    bps = PRICES_BPS.get(method, 290) + (INTERNATIONAL_BPS if abroad else 0)
    fixed = FIXED_FEES.get(currency, 30) if method == "card" else 0
    fee = share(settled, bps, 10_000) + fixed
    if method == "us_bank_account":
        fee = min(fee, 500)
    details = [fee_detail(fee, currency, "Stripe processing fees")]
    if fx:
        conversion = share(settled, CONVERSION_BPS, 10_000)
        details.append(fee_detail(conversion, currency, "Stripe currency conversion fee"))
    if account.fee_tax_bps:
        tax = share(sum(detail["amount"] for detail in details), account.fee_tax_bps, 10_000)
        details.append(fee_detail(tax, currency, "Tax", "tax"))
    return details


def fee_detail(amount: int, currency: str, description: str, type: str = "stripe_fee") -> Body:  # noqa: A002
    return {"amount": amount, "application": None, "currency": currency, "description": description, "type": type}
