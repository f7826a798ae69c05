"""Every address of the API that the stand-in serves, with the parameters it takes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from emulators.stripe import (
    accounts,
    charges,
    credit_notes,
    customers,
    disputes,
    events,
    invoice_items,
    invoice_payments,
    invoices,
    ledger,
    payment_intents,
    payment_methods,
    payment_records,
    payouts,
    refunds,
    webhooks,
)
from emulators.stripe.errors import Body, no_such_route
from emulators.stripe.lists import PAGING

Handler = Callable[..., Body]  # (office, params, the ids of the address)


@dataclass(frozen=True)
class Route:
    handler: Handler
    params: frozenset[str]


ROUTES: dict[tuple[str, ...], Route] = {}


def add(method: str, path: str, handler: Handler, params: Iterable[str] = ()) -> None:
    """`path` is written without /v1/, with * for an id."""
    paging = PAGING if handler.__name__ in ("list_", "list_of_charge", "lines") else ()
    ROUTES[method, *path.split("/")] = Route(handler, frozenset((*params, *paging, "expand")))


def find(method: str, path: str) -> tuple[Route, list[str]]:
    """The route of a request and the ids in its address."""
    root, *parts = path.strip("/").split("/")
    for pattern in _patterns(parts):
        route = ROUTES.get((method, *pattern)) if root == "v1" else None
        if route is not None:
            return route, [part for part, step in zip(parts, pattern, strict=True) if step == "*"]
    raise no_such_route(method, path)


def _patterns(parts: list[str]) -> Iterable[list[str]]:
    """Names come before ids: the second and the fourth step may be ids."""
    yield parts
    if len(parts) > 1:
        yield [parts[0], "*", *parts[2:]]
    if len(parts) > 3:
        yield [parts[0], "*", parts[2], "*", *parts[4:]]


METADATA = ("metadata",)

add("GET", "account", accounts.retrieve)
add("GET", "accounts/*", accounts.retrieve)
add("GET", "balance", ledger.balance)
add("GET", "balance_transactions", ledger.list_, ledger.LIST_PARAMS)
add("GET", "balance_transactions/*", ledger.retrieve)

add("POST", "customers", customers.create, customers.CREATE_PARAMS)
add("GET", "customers", customers.list_, customers.LIST_PARAMS)
add("GET", "customers/*", customers.retrieve)
add("POST", "customers/*", customers.update, customers.WRITE_PARAMS)
add("DELETE", "customers/*", customers.delete)

add("POST", "payment_methods", payment_methods.create, payment_methods.CREATE_PARAMS)
add("GET", "payment_methods", payment_methods.list_, payment_methods.LIST_PARAMS)
add("GET", "payment_methods/*", payment_methods.retrieve)
add("POST", "payment_methods/*/attach", payment_methods.attach, ("customer",))
add("POST", "payment_methods/*/detach", payment_methods.detach)

add("POST", "payment_intents", payment_intents.create, payment_intents.CREATE_PARAMS)
add("GET", "payment_intents", payment_intents.list_, payment_intents.LIST_PARAMS)
add("GET", "payment_intents/*", payment_intents.retrieve)
add("POST", "payment_intents/*", payment_intents.update, payment_intents.UPDATE_PARAMS)
add("POST", "payment_intents/*/confirm", payment_intents.confirm, payment_intents.CONFIRM_PARAMS)
add("POST", "payment_intents/*/capture", payment_intents.capture, payment_intents.CAPTURE_PARAMS)
add("POST", "payment_intents/*/cancel", payment_intents.cancel, payment_intents.CANCEL_PARAMS)

add("POST", "charges", charges.create, charges.CREATE_PARAMS)
add("GET", "charges", charges.list_, charges.LIST_PARAMS)
add("GET", "charges/*", charges.retrieve)
add("POST", "charges/*", charges.update, charges.UPDATE_PARAMS)
add("POST", "charges/*/capture", charges.capture, charges.CAPTURE_PARAMS)
add("GET", "charges/*/refunds", refunds.list_of_charge)

add("POST", "refunds", refunds.create, refunds.CREATE_PARAMS)
add("GET", "refunds", refunds.list_, refunds.LIST_PARAMS)
add("GET", "refunds/*", refunds.retrieve)
add("POST", "refunds/*", refunds.update, METADATA)

add("GET", "disputes", disputes.list_, disputes.LIST_PARAMS)
add("GET", "disputes/*", disputes.retrieve)
add("POST", "disputes/*", disputes.update, disputes.UPDATE_PARAMS)
add("POST", "disputes/*/close", disputes.close)

add("POST", "payouts", payouts.create, payouts.CREATE_PARAMS)
add("GET", "payouts", payouts.list_, payouts.LIST_PARAMS)
add("GET", "payouts/*", payouts.retrieve)
add("POST", "payouts/*", payouts.update, METADATA)
add("POST", "payouts/*/cancel", payouts.cancel)

add("POST", "invoices", invoices.create, invoices.CREATE_PARAMS)
add("GET", "invoices", invoices.list_, invoices.LIST_PARAMS)
add("GET", "invoices/*", invoices.retrieve)
add("POST", "invoices/*", invoices.update, invoices.UPDATE_PARAMS)
add("DELETE", "invoices/*", invoices.delete)
add("POST", "invoices/*/add_lines", invoices.add_lines, ("lines",))
add("GET", "invoices/*/lines", invoices.lines)
add("POST", "invoices/*/lines/*", invoices.update_line, invoice_items.LINE_PARAMS)
add("POST", "invoices/*/finalize", invoices.finalize, ("auto_advance",))
add("POST", "invoices/*/send", invoices.send)
add("POST", "invoices/*/pay", invoices.pay, invoices.PAY_PARAMS)
add("POST", "invoices/*/void", invoices.void)
add("POST", "invoices/*/mark_uncollectible", invoices.mark_uncollectible)
add("POST", "invoices/*/attach_payment", invoices.attach_payment, invoices.ATTACH_PARAMS)

add("POST", "invoiceitems", invoices.create_item, invoice_items.CREATE_PARAMS)
add("GET", "invoiceitems", invoice_items.list_, invoice_items.LIST_PARAMS)
add("GET", "invoiceitems/*", invoice_items.retrieve)
add("DELETE", "invoiceitems/*", invoices.delete_item)

add("GET", "invoice_payments", invoice_payments.list_, invoice_payments.LIST_PARAMS)
add("GET", "invoice_payments/*", invoice_payments.retrieve)

add("POST", "credit_notes", credit_notes.create, credit_notes.CREATE_PARAMS)
add("GET", "credit_notes", credit_notes.list_, credit_notes.LIST_PARAMS)
add("GET", "credit_notes/preview", credit_notes.preview, credit_notes.CREATE_PARAMS)
add("GET", "credit_notes/*", credit_notes.retrieve)
add("POST", "credit_notes/*", credit_notes.update, credit_notes.UPDATE_PARAMS)
add("GET", "credit_notes/*/lines", credit_notes.lines)
add("POST", "credit_notes/*/void", credit_notes.void)

add("POST", "payment_records/report_payment", payment_records.report, payment_records.REPORT_PARAMS)
add("GET", "payment_records/*", payment_records.retrieve)

add("GET", "events", events.list_, events.LIST_PARAMS)
add("GET", "events/*", events.retrieve)

add("POST", "webhook_endpoints", webhooks.create, webhooks.CREATE_PARAMS)
add("GET", "webhook_endpoints", webhooks.list_, webhooks.LIST_PARAMS)
add("GET", "webhook_endpoints/*", webhooks.retrieve)
add("POST", "webhook_endpoints/*", webhooks.update, webhooks.UPDATE_PARAMS)
add("DELETE", "webhook_endpoints/*", webhooks.delete)
