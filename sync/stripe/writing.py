"""Writing to Stripe: each step is one call of the library under our own idempotency key.

Stripe remembers a key for 24 hours, with the first answer, whatever it was. After that nothing protects from a second
object, so what was written is looked for: by our ids in its metadata, or by the state of what it changed.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import stripe

from reconcile.counterparts import CUSTOMER_KEY, REALM_KEY
from reconcile.outgoing import CREDIT_KEY, REVISION_KEY
from reconcile.records import ProcessorInvoice
from sync.errors import Ambiguous, Rejected, SyncError, Transient, Unauthorized
from sync.ports import Fetched, Write
from sync.stripe import wire
from sync.stripe.client import call, plain, translate
from sync.stripe.records import fetched

PAGE = 100
BUSY = ("processing", "requires_capture", "requires_action", "succeeded")  # of a payment that is not entered yet
NOBODY_KNOWS = "Nobody can tell whether Stripe did this. Look at it in Stripe, then try again here if it was not done."

Call = Callable[[Any, str, dict[str, Any], dict[str, Any]], Any]  # services, target, parameters, options

CALLS: dict[str, tuple[str, Call]] = {
    "create_customer": ("customer", lambda v1, _, params, options: v1.customers.create(params, options)),
    "mark_customer": ("customer", lambda v1, target, params, options: v1.customers.update(target, params, options)),
    "update_customer": ("customer", lambda v1, target, params, options: v1.customers.update(target, params, options)),
    "create_invoice": ("processor_invoice", lambda v1, _, params, options: v1.invoices.create(params, options)),
    "add_lines": (
        "processor_invoice",
        lambda v1, target, params, options: v1.invoices.add_lines(target, params, options),
    ),
    "finalize": (
        "processor_invoice",
        lambda v1, target, params, options: v1.invoices.finalize_invoice(target, params, options),
    ),
    "send": (
        "processor_invoice",
        lambda v1, target, params, options: v1.invoices.send_invoice(target, params, options),
    ),
    "void": (
        "processor_invoice",
        lambda v1, target, params, options: v1.invoices.void_invoice(target, params, options),
    ),
    "delete_draft": (
        "processor_invoice",
        lambda v1, target, params, options: v1.invoices.delete(target, params, options),
    ),
    "report_payment": (
        "payment_record",
        lambda v1, _, params, options: v1.payment_records.report_payment(params, options),
    ),
    "attach_payment": (
        "processor_invoice",
        lambda v1, target, params, options: v1.invoices.attach_payment(target, params, options),
    ),
    "give_credit": ("credit_note", lambda v1, _, params, options: v1.credit_notes.create(params, options)),
}


class StripeWriter:
    """The writing side of sync.ports.Processor."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    def frame(self, step: str, about: Any) -> dict[str, Any]:
        return wire.params(step, about)

    def write(self, write: Write) -> Fetched:
        kind, action = CALLS[write.step]
        options = {"idempotency_key": write.key} if write.key else {}
        try:
            body = action(self._client.v1, write.target_id or "", dict(write.params), options)
        except stripe.StripeError as error:
            raise _meaning(error) from error
        return _written(kind, plain(body))

    def find_written(self, write: Write) -> Fetched | None:
        match write.step:
            case "create_customer":
                return self._find_customer(write)
            case "create_invoice":
                return self._find_invoice(write)
            case "give_credit":
                return self._find_credit(write)
            case "report_payment":
                raise Ambiguous(NOBODY_KNOWS)  # payment records cannot be listed
        return self._find_changed(write)

    def look(self, invoice_id: str) -> tuple[Fetched, Fetched]:
        parts = ("payments.data.payment.payment_intent", "customer.invoice_credit_balance", "amount_paid_off_stripe")
        expand: Any = {"expand": list(parts)}
        try:
            body = plain(call(lambda: self._client.v1.invoices.retrieve(invoice_id, expand)))
        except Rejected as error:
            if error.code == "resource_missing":
                gone = Fetched(kind="processor_invoice", id=invoice_id, record=None)
                return gone, Fetched(kind="customer", id="", record=None)
            raise
        customer, is_busy = body["customer"], self._is_busy(body)
        found = fetched("processor_invoice", {**body, "customer": customer["id"], "payments": None})
        if isinstance(found.record, ProcessorInvoice):
            found = replace(found, record=replace(found.record, busy=is_busy))
        return found, fetched("customer", customer)

    def _is_busy(self, body: dict[str, Any]) -> bool:
        """Whether a payment of an invoice has begun and is not entered on it yet."""
        parts = body.get("payments") or {}
        data = parts.get("data", [])
        if parts.get("has_more"):
            params: Any = {"invoice": body["id"], "limit": PAGE, "expand": ["data.payment.payment_intent"]}
            data = [plain(part) for part in self._all("invoice_payments", params)]
        intents = [(part["status"], (part.get("payment") or {}).get("payment_intent")) for part in data]
        return any(
            status == "open" and isinstance(intent, dict) and intent["status"] in BUSY for status, intent in intents
        )

    def _find_customer(self, write: Write) -> Fetched | None:
        wanted = _named(write.params, REALM_KEY, CUSTOMER_KEY)
        email = {"email": write.params["email"]} if write.params.get("email") else {}
        found = (plain(body) for body in self._all("customers", {"limit": PAGE, **email}))
        return next((fetched("customer", body) for body in found if _has(body, wanted)), None)

    def _find_invoice(self, write: Write) -> Fetched | None:
        wanted = _named(write.params, REALM_KEY, "qbo_invoice_id", REVISION_KEY)
        params = {"limit": PAGE, "customer": write.params["customer"]}
        found = (plain(body) for body in self._all("invoices", params))
        return next((fetched("processor_invoice", body) for body in found if _has(body, wanted)), None)

    def _find_credit(self, write: Write) -> Fetched | None:
        wanted = _named(write.params, REALM_KEY, CREDIT_KEY)
        found = (plain(body) for body in self._all("credit_notes", {"limit": PAGE, "invoice": write.params["invoice"]}))
        issued = (body for body in found if body["status"] == "issued" and _has(body, wanted))
        return next((fetched("credit_note", body) for body in issued), None)

    def _find_changed(self, write: Write) -> Fetched | None:
        """Whether an invoice is as the write would have left it."""
        found, _ = self.look(write.target_id or "")
        there: Any = found.record
        if write.step == "delete_draft":
            return found if there is None else None
        if there is None:
            raise Rejected("The Stripe invoice is gone: somebody deleted it.", code="resource_missing")
        match write.step:
            case "add_lines":
                return found if there.total_minor or there.status != "draft" else None
            case "finalize":
                return found if there.status != "draft" else None
            case "void":
                return found if there.status == "void" else None
            case "attach_payment":
                payment = {"type": "payment_record", "payment_record": write.params["payment_record"]}
                return found if list(self._all("invoice_payments", {"payment": payment})) else None
        raise Ambiguous(NOBODY_KNOWS)  # whether an e-mail went out stands nowhere

    def _all(self, service: str, params: dict[str, Any]) -> Iterator[Any]:
        listing = call(lambda: getattr(self._client.v1, service).list(params))
        return iter(call(lambda: list(listing.auto_paging_iter())))


def _written(kind: str, body: dict[str, Any]) -> Fetched:
    if body.get("deleted"):
        return Fetched(kind=kind, id=body["id"], record=None)
    if kind == "payment_record":
        return Fetched(kind=kind, id=body["id"], record=None)
    return fetched(kind, body)


def _named(params: Any, *keys: str) -> dict[str, str]:
    """The part of the metadata that tells the object from any other."""
    metadata = params["metadata"]
    return {name: value for name, value in metadata.items() if any(name.startswith(key) for key in keys)}


def _has(body: dict[str, Any], wanted: dict[str, str]) -> bool:
    metadata = body.get("metadata") or {}
    return all(metadata.get(name) == value for name, value in wanted.items())


def _meaning(error: stripe.StripeError) -> SyncError:
    """What an error of a write means: unless Stripe certainly refused it, it may have been done."""
    known = translate(error)
    if isinstance(error, stripe.PermissionError):  # a key that may only read: everything else goes on with it
        plain_ = (
            "Stripe's key may not write this. Give Tieout a key that may write customers, invoices and credit notes."
        )
        return Rejected(plain_, technical=known.technical)
    if isinstance(known, Rejected | Unauthorized):
        return known
    if isinstance(error, stripe.RateLimitError):
        return Transient(known.plain, technical=known.technical)
    if isinstance(error, stripe.IdempotencyError) and error.http_status == 400:
        plain_ = "Stripe has seen this key with something else. Nothing was done. Look at the invoice in Stripe."
        return Rejected(plain_, technical=known.technical)
    return Ambiguous("Stripe did not say whether it was done; it is asked again.", technical=known.technical)
