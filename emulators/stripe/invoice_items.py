"""Invoice items, waiting for the customer's next invoice or put on a draft; and the invoice lines they become."""

from decimal import Decimal, InvalidOperation

from emulators.stripe.errors import Body, invalid
from emulators.stripe.lists import page
from emulators.stripe.money import share
from emulators.stripe.office import Office
from emulators.stripe.params import Params

LINE_PARAMS = ("amount", "description", "discountable", "metadata", "period", "price_data", "quantity", "tax_amounts")
CREATE_PARAMS = ("amount", "currency", "customer", "description", "discountable", "invoice", "metadata", "period",
                 "quantity", "unit_amount_decimal")  # fmt: skip
UPDATE_PARAMS = ("amount", "description", "discountable", "metadata", "period", "quantity", "unit_amount_decimal")
LIST_PARAMS = ("created", "customer", "invoice", "pending")


def make(office: Office, params: Params, customer: str, currency: str, invoice: str | None) -> Body:
    amount, quantity, unit = price(params)
    period = params.part("period")
    body: Body = {
        "id": office.new_id("invoiceitem"), "object": "invoiceitem", "amount": amount, "currency": currency,
        "customer": customer, "customer_account": None, "date": office.now(), "description": params.text("description"),
        "discountable": params.boolean("discountable", True), "discounts": [], "frozen_fields": None,
        "invoice": invoice, "livemode": False, "metadata": params.metadata(), "net_amount": amount, "parent": None,
        "period": {
            "end": period.integer("end") or office.now(), "start": period.integer("start") or office.now(),
        },
        "pricing": {"type": "price_details", "unit_amount_decimal": unit}, "proration": False,
        "quantity": quantity, "quantity_decimal": str(quantity), "tax_rates": [], "test_clock": None,
        "created": office.now(), "_pending": invoice is None,
    }  # fmt: skip
    office.save(body)
    office.emit("invoiceitem.created", body)
    return body


def price(params: Params) -> tuple[int, int, str]:
    """(amount, quantity, unit amount): an amount for all, or a unit price times a quantity."""
    quantity = params.integer("quantity")
    quantity = 1 if quantity is None else quantity
    amount = params.integer("amount")
    if amount is not None:
        exact = quantity and amount % quantity == 0
        return amount, quantity, str(amount // quantity if exact else amount)
    unit = params.text("unit_amount_decimal") or params.part("price_data").text("unit_amount_decimal")
    unit = unit or params.part("price_data").required("unit_amount")
    try:
        return int((Decimal(unit) * quantity).to_integral_value()), quantity, unit
    except InvalidOperation:
        raise invalid(f"Invalid decimal: {unit}", param=params.name("unit_amount_decimal")) from None


def line(office: Office, item: Body, invoice: str, taxes: list[Body]) -> Body:
    """The line of a draft that an item becomes."""
    details = {"invoice_item": item["id"], "proration": False, "proration_details": None, "subscription": None}
    same = ("amount", "currency", "description", "discountable", "livemode", "metadata", "period", "pricing",
            "quantity", "quantity_decimal")  # fmt: skip
    return {name: item[name] for name in same} | {
        "id": office.new_id("line_item"), "object": "line_item", "discount_amounts": [], "discounts": [],
        "invoice": invoice, "parent": {"invoice_item_details": details, "subscription_item_details": None,
                                       "type": "invoice_item_details"},
        "pretax_credit_amounts": [], "subscription": None, "subtotal": item["amount"], "taxes": taxes,
    }  # fmt: skip


def line_taxes(params: Params, amount: int) -> list[Body]:
    """`tax_amounts` as the caller computed them: an amount each, or a percentage."""
    taxes = []
    for part in params.parts("tax_amounts"):
        rate = part.part("tax_rate_data")
        tax = part.integer("amount")
        taxable = part.integer("taxable_amount")
        taxable = amount if taxable is None else taxable
        if tax is None:
            tax = share(taxable, int(Decimal(rate.required("percentage")) * 100), 10_000)
        taxes.append({
            "amount": tax, "tax_behavior": "inclusive" if rate.boolean("inclusive") else "exclusive",
            "tax_rate_details": {"tax_rate": f"txr_{rate.text('display_name') or 'tax'}"},
            "taxability_reason": "not_available", "taxable_amount": taxable, "type": "tax_rate_details",
        })  # fmt: skip
    return taxes


def show(_: Office, shown: Body, __: Body) -> Body:
    """Its time of creation is called `date`."""
    shown.pop("created")
    return shown


def retrieve(office: Office, _: Params, id: str) -> Body:  # noqa: A002
    return office.render(office.get("invoiceitem", id))


def list_(office: Office, params: Params) -> Body:
    pending = "true" if params.boolean("pending") else None
    where = {"customer": params.text("customer"), "invoice": params.text("invoice"), "_pending": pending}
    return page(office, "invoiceitem", params, "/v1/invoiceitems", where)
