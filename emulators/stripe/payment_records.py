"""Payment records: money that came some other way, reported to Stripe so that an invoice can be paid with it."""

from emulators.stripe.errors import Body, invalid
from emulators.stripe.office import Office
from emulators.stripe.params import Params

REPORT_PARAMS = ("amount_requested", "customer_details", "description", "guaranteed", "initiated_at", "metadata",
                 "outcome", "payment_method_details", "processor_details")  # fmt: skip


def report(office: Office, params: Params) -> Body:
    asked = params.part("amount_requested")
    value, currency = asked.amount("value"), asked.required("currency").lower()
    params.required("initiated_at")
    if params.text("outcome") != "guaranteed":
        raise invalid("The stand-in takes payments with the outcome `guaranteed` only.", param="outcome")
    nothing, all_of_it = {"currency": currency, "value": 0}, {"currency": currency, "value": value}
    custom = params.part("payment_method_details").part("custom")
    reference = params.part("processor_details").part("custom").text("payment_reference")
    body: Body = {
        "id": office.new_id("payment_record"), "object": "payment_record", "amount": all_of_it,
        "amount_authorized": all_of_it, "amount_canceled": nothing, "amount_failed": nothing,
        "amount_guaranteed": all_of_it, "amount_refunded": nothing, "amount_requested": all_of_it,
        "application": None, "created": office.now(), "customer_details": None, "customer_presence": None,
        "description": params.text("description"), "latest_payment_attempt_record": None, "livemode": False,
        "metadata": params.metadata(),
        "payment_method_details": {
            "billing_details": None, "payment_method": None, "type": "custom",
            "custom": {"display_name": custom.text("display_name") or "Other", "type": custom.text("type")},
        },
        "processor_details": {"type": "custom", "custom": {"payment_reference": reference}}, "reported_by": "self",
        "shipping_details": None,
    }  # fmt: skip
    office.save(body)
    return office.render(body)


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("payment_record", id))
