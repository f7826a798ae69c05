"""What only the stand-in's owner can do: be the cardholder, the bank, Stripe itself.

POST /_emulator/NAME with a JSON object of the function's parameters; in-process `controls.use(emulator, NAME, {...})`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from emulators.stripe import disputes, invoice_payments, invoices, ledger, payment_intents, payouts, refunds
from emulators.stripe.errors import Body, broken, conflict, invalid, no_such_route, throttled
from emulators.stripe.money import fee_detail
from emulators.stripe.office import Office
from emulators.stripe.settings import API_VERSION

if TYPE_CHECKING:
    from emulators.stripe.emulator import StripeEmulator


def open_dispute(
    office: Office, charge: str, amount: int | None = None, reason: str = "fraudulent", inquiry: bool = False
) -> Body:
    return disputes.open_(office, charge, amount, reason, inquiry=inquiry)


def escalate_dispute(office: Office, dispute: str) -> Body:
    """An inquiry becomes a dispute."""
    return disputes.escalate(office, dispute)


def win_dispute(office: Office, dispute: str, amount: int | None = None) -> Body:
    return disputes.win(office, dispute, amount)


def lose_dispute(office: Office, dispute: str) -> Body:
    return disputes.lose(office, dispute)


def fail_refund(office: Office, refund: str, reason: str = "unknown") -> Body:
    return refunds.fail(office, refund, reason)


def fail_charge(office: Office, charge: str, reason: str = "insufficient_funds") -> Body:
    """A bank debit is sent back, before or after it succeeded."""
    return payment_intents.bounce(office, charge, reason)


def fail_payout(office: Office, payout: str, code: str = "account_closed") -> Body:
    return payouts.fail(office, payout, code)


def authenticate(office: Office, payment_intent: str) -> Body:
    """The customer passes 3-D Secure."""
    return payment_intents.authenticate(office, payment_intent)


def attach_payment(office: Office, invoice: str, payment_intent: str, amount: int | None = None) -> Body:
    """As POST /v1/invoices/:id/attach_payment, with an amount of one's own: also more than is due."""
    return office.render(invoice_payments.attach(office, invoice, payment_intent, amount))


def post(  # noqa: PLR0913, PLR0917
    office: Office, amount: int, type: str, category: str, currency: str | None = None, fee: int = 0,  # noqa: A002
    fee_type: str = "stripe_fee", source: str | None = None, description: str | None = None,
    available_on: int | None = None, balance_type: str = "payments",
) -> Body:  # fmt: skip
    """A balance transaction of any type and category, known or not: Stripe's bills, reserves, adjustments."""
    currency = currency or office.account.default_currency
    fees = [fee_detail(fee, currency, description or category, fee_type)] if fee else []
    return office.render(
        ledger.post(
            office, amount=amount, currency=currency, type=type, category=category, source=source, fees=fees,
            description=description, available_on=available_on, balance_type=balance_type,
        )
    )  # fmt: skip


def emit(office: Office, type: str, object: Body, api_version: str = API_VERSION) -> Body:  # noqa: A002
    """An event of any type about any object, also one that nobody has heard of, or as an older version showed it."""
    return office.render(office.emit(type, object, api_version=api_version))


def bill_subscription(office: Office, invoice: str, subscription: str) -> Body:
    """A draft becomes an invoice of a subscription."""
    details = {"metadata": {}, "subscription": subscription}
    parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    changes = {"parent": parent, "billing_reason": "subscription_cycle", "_subscription": subscription}
    body = invoices.draft(office, invoice) | changes
    office.save(body)
    return office.render(body)


def next_errors(office: Office, code: str, times: int = 1, should_retry: bool | None = None) -> Body:
    """The next requests are refused: `rate_limit`, `lock_timeout`, `conflict` or `api_error`."""
    errors = {"rate_limit": throttled, "lock_timeout": lambda: throttled("lock_timeout"), "conflict": conflict,
              "api_error": broken}  # fmt: skip
    for _ in range(times):
        error = errors[code]()
        if should_retry is not None:
            error.headers["Stripe-Should-Retry"] = "true" if should_retry else "false"
        office.next_errors.append(error)
    return {"waiting": len(office.next_errors)}


def hooks(office: Office, **switches: float) -> Body:
    """Sets `duplicates`, `disorder` (probabilities), `retry_s` and the like."""
    for name, value in switches.items():
        if not hasattr(office.hooks, name):
            raise invalid(f"Unknown switch {name}.")
        setattr(office.hooks, name, value)
    return dict(vars(office.hooks))


def invoice_numbers(office: Office, unique: bool) -> Body:
    """Whether the number of an invoice may be used once only."""
    office.unique_numbers = unique
    return {"unique": unique}


def limits(office: Office, requests_per_s: int | None = None) -> Body:
    """How many requests a second are served over HTTP (Stripe: 25 in a sandbox, 100 live); None: any number."""
    office.requests_per_s = requests_per_s
    return {"requests_per_s": requests_per_s}


def clock(office: Office, set: str | None = None, advance_s: int = 0, release: bool = False) -> Body:  # noqa: A002
    """Holds the clock at an ISO time, moves it on, or lets it run again."""
    if set is not None:
        office.clock.set(datetime.fromisoformat(set).astimezone(UTC))
    if advance_s:
        office.clock.advance(timedelta(seconds=advance_s))
    if release:
        office.clock.release()
    office.run_due()
    return {"now": office.now()}


CONTROLS: dict[str, Callable[..., Body]] = {
    "attach_payment": attach_payment,
    "authenticate": authenticate,
    "charge_failures": fail_charge,
    "clock": clock,
    "dispute_escalations": escalate_dispute,
    "dispute_losses": lose_dispute,
    "dispute_wins": win_dispute,
    "disputes": open_dispute,
    "balance_transactions": post,
    "subscription_invoices": bill_subscription,
    "events": emit,
    "hooks": hooks,
    "invoice_numbers": invoice_numbers,
    "limits": limits,
    "next_errors": next_errors,
    "payout_failures": fail_payout,
    "refund_failures": fail_refund,
}


def use(emulator: "StripeEmulator", name: str, arguments: dict[str, Any]) -> Body:
    if name not in CONTROLS:
        raise no_such_route("POST", f"/_emulator/{name}")
    with emulator.office.store.transaction():
        emulator.office.run_due()
        return CONTROLS[name](emulator.office, **arguments)
