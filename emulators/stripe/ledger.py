"""Balance transactions: the only way money moves, and the balance that follows from them."""

from collections.abc import Iterable

from emulators.stripe import days
from emulators.stripe.errors import Body, invalid
from emulators.stripe.lists import page
from emulators.stripe.money import rate_ppm, settlement_currency, share
from emulators.stripe.office import Office
from emulators.stripe.params import Params

LIST_PARAMS = ("created", "currency", "payout", "source", "type")


def post(  # noqa: PLR0913
    office: Office, *, amount: int, currency: str, type: str, category: str, source: str | None,  # noqa: A002
    fees: Iterable[Body] = (), description: str | None = None, exchange_rate: float | None = None,
    available_on: int | None = None, balance_type: str = "payments",
) -> Body:  # fmt: skip
    """Writes a balance transaction in its settlement currency; without `available_on` it counts at once."""
    details = list(fees)
    fee, now = sum(detail["amount"] for detail in details), office.now()
    pending = available_on is not None and available_on > now
    counts = balance_type == "payments"
    body: Body = {
        "id": office.new_id("balance_transaction"), "object": "balance_transaction", "amount": amount,
        "available_on": available_on if pending else now, "balance_type": balance_type, "created": now,
        "currency": currency, "description": description, "exchange_rate": exchange_rate, "fee": fee,
        "fee_details": details, "net": amount - fee, "reporting_category": category, "source": source,
        "status": "pending" if pending else "available", "type": type,
        "_pending_until": available_on if pending else None,
        "_unpaid": currency if counts and not pending else None, "_payout": None,
    }  # fmt: skip
    office.save(body)
    if counts:
        _move(office, currency, **{body["status"]: body["net"]})
        if pending:
            office.later(body["available_on"], "release", str(available_on))
        plan_payouts(office, body["available_on"])
    return body


def convert(office: Office, amount: int, currency: str) -> tuple[int, str, float | None]:
    """An amount as it is settled: (amount, currency, exchange rate or None)."""
    settled_in = settlement_currency(office.account, currency)
    if settled_in == currency:
        return amount, currency, None
    ppm = rate_ppm(office.rates, currency, settled_in)
    return share(amount, ppm, 1_000_000), settled_in, ppm / 1_000_000


def release(office: Office, until: str) -> None:
    """Task: what was pending until this moment becomes available."""
    for body in office.store.find("balance_transaction", where={"_pending_until": until}):
        unpaid = body["currency"] if body["balance_type"] == "payments" else None
        office.save(body | {"status": "available", "_pending_until": None, "_unpaid": unpaid})
        if unpaid:
            _move(office, body["currency"], pending=-body["net"], available=body["net"])
    office.emit("balance.available", balance(office, Params({})))


def plan_payouts(office: Office, at: int) -> None:
    if office.account.payout_interval == "daily":
        due = days.next_payout_time(at)
        office.later(due, "pay_out", str(due))


def _move(office: Office, currency: str, *, available: int = 0, pending: int = 0) -> None:
    old = office.store.get("purse", currency) or {"currency": currency, "available": 0, "pending": 0}
    new = old | {"available": old["available"] + available, "pending": old["pending"] + pending}
    office.store.put("purse", currency, new, created=0)


def available(office: Office, currency: str) -> int:
    purse = office.store.get("purse", currency)
    return int(purse["available"]) if purse else 0


def balance(office: Office, _: Params) -> Body:
    purses = {purse["currency"]: purse for purse in office.store.find("purse", oldest_first=True)}
    for currency in office.account.settlement_currencies:
        purses.setdefault(currency, {"currency": currency, "available": 0, "pending": 0})
    sides = {
        side: [
            {"amount": purse[side], "currency": purse["currency"], "source_types": {"card": purse[side]}}
            for purse in purses.values()
        ]
        for side in ("available", "pending")
    }
    return {"object": "balance", "livemode": False, **sides}


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("balance_transaction", id))


def list_(office: Office, params: Params) -> Body:
    payout = params.text("payout")
    if payout is not None and not office.named("payout", payout, "payout")["automatic"]:
        message = "Balance transaction history can only be filtered on automatic payouts, not manual."
        raise invalid(message, param="payout")
    where = {"currency": params.text("currency"), "source": params.text("source"), "type": params.text("type")}
    return page(office, "balance_transaction", params, "/v1/balance_transactions", where | {"_payout": payout})
