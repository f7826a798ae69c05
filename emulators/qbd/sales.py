"""Invoice, credit memo and sales receipt: lines of items, a tax, a total."""

from decimal import Decimal

from emulators.qbd.books import Leg
from emulators.qbd.company import MONEY, UNDEPOSITED, Company
from emulators.qbd.lines import changed_lines
from emulators.qbd.money import cents, times, wire
from emulators.qbd.refusals import bad_value, missing
from emulators.store import Body

TAX = "Sales Tax Payable"


def complete(company: Company, kind: str, body: Body) -> Body:
    records = company.records
    customer = records.refer("CustomerRef", body, kind)
    currency = customer["CurrencyRef"]["ListID"] if customer else company.books.home
    company.denominate(body, currency, kind)
    if kind == "SalesReceipt":
        company.account(body, "DepositToAccountRef", kind, UNDEPOSITED, MONEY)
    else:
        company.receivable(body, kind)
    if tax_item := company.settings.get("sales_tax"):  # switched on: whoever says nothing is charged by default
        body.setdefault("ItemSalesTaxRef", {"ListID": tax_item})
    for reference in ("ClassRef", "PaymentMethodRef", "CustomerSalesTaxCodeRef"):
        records.refer(reference, body, kind)
    if not body.get("RefNumber"):
        body["RefNumber"] = str(records.store.number(f"RefNumber {kind}"))
    body.setdefault("IsPending", "false")
    body.setdefault("IsToBePrinted", "false")
    if kind != "CreditMemo":
        body.setdefault("DueDate", body["TxnDate"])
    if added := body.pop(f"{kind}LineAdd", None):
        body[f"{kind}LineRet"] = [_line(company, kind, line) for line in added]
    if mods := body.pop(f"{kind}LineMod", None):
        present = [_without_price(line) for line in body.get(f"{kind}LineRet", [])]
        body[f"{kind}LineRet"] = [_line(company, kind, line) for line in changed_lines(present, mods)]
    return _total(company, kind, body)


def _without_price(line: Body) -> Body:
    """A Mod that says an amount means the amount, whatever it was made of before."""
    return {name: value for name, value in line.items() if name not in ("Quantity", "Rate")}


def _line(company: Company, kind: str, line: Body) -> Body:
    records = company.records
    item = records.refer("ItemRef", line, kind)
    records.refer("ClassRef", line, kind)
    price = (item or {}).get("SalesOrPurchase", {}).get("Price") or "0"
    if "Amount" not in line and "Rate" not in line and "Quantity" not in line and item is None:
        return {"TxnLineID": records.line_id(), **line}  # a line of text
    quantity, rate = line.get("Quantity"), line.get("Rate")
    exact = Decimal(rate or price) * 100 * Decimal(quantity or 1)
    line["Amount"] = wire(cents(line["Amount"]) if line.get("Amount") else times(1, exact))
    code = records.refer("SalesTaxCodeRef", line, kind)
    if code is None and item is not None and item.get("SalesTaxCodeRef"):
        line["SalesTaxCodeRef"] = item["SalesTaxCodeRef"]
    elif code is None and company.settings.get("sales_tax"):
        line["SalesTaxCodeRef"] = {"ListID": records.named("Tax", "SalesTaxCode")["ListID"]}  # type: ignore[index]
    line["_account"] = _income_account(company, kind, line, item)
    return {"TxnLineID": records.line_id(), **line}


def _income_account(company: Company, kind: str, line: Body, item: Body | None) -> str:
    override = company.records.refer("OverrideItemAccountRef", line, kind)
    line.pop("OverrideItemAccountRef", None)
    if override is not None:
        return str(override["ListID"])
    if item is None:
        raise missing("ItemRef")
    ref = item.get("AccountRef") or item.get("SalesOrPurchase", {}).get("AccountRef")
    if ref is None:
        raise bad_value("ItemRef", item["Name"], "The item has no income account.")
    return str(ref["ListID"])


def _total(company: Company, kind: str, body: Body) -> Body:
    lines = body.get(f"{kind}LineRet", [])
    subtotal = sum(cents(line.get("Amount")) for line in lines)
    tax_item = company.records.refer("ItemSalesTaxRef", body, kind)
    percent = Decimal((tax_item or {}).get("TaxRate") or 0)
    taxable = sum(cents(line.get("Amount")) for line in lines if _is_taxable(company, line))
    tax = times(taxable, percent / 100)
    body["Subtotal"], body["SalesTaxTotal"] = wire(subtotal), wire(tax)
    if tax_item is not None:
        body["SalesTaxPercentage"] = str(percent)
    body["_total"] = subtotal + tax
    if body["_total"] < 0:
        raise bad_value("Amount", wire(subtotal + tax), "Transaction amount must be positive.")
    if kind != "Invoice":
        body["TotalAmount"] = wire(body["_total"])
    return body


def _is_taxable(company: Company, line: Body) -> bool:
    ref: Body = line.get("SalesTaxCodeRef") or {}
    return bool(ref) and company.records.require("SalesTaxCode", ref["ListID"])["IsTaxable"] == "true"


def legs(company: Company, kind: str, body: Body) -> list[Leg]:
    party = (body.get("CustomerRef") or {}).get("ListID", "")
    sign = -1 if kind == "CreditMemo" else 1
    others = [
        company.leg(body, line["_account"], -sign * cents(line["Amount"]))
        for line in body.get(f"{kind}LineRet", [])
        if "_account" in line
    ]
    tax = cents(body["SalesTaxTotal"])
    if tax:
        others.append(company.leg(body, company.account_named(TAX)["ListID"], -sign * tax))
    target = body["DepositToAccountRef" if kind == "SalesReceipt" else "ARAccountRef"]["ListID"]
    return [Leg(target, sign * body["_total"], -sum(leg.home for leg in others), party), *others]


def opens(_company: Company, kind: str, body: Body) -> tuple[str, str, int] | None:
    """(customer, receivable account, what it opens)."""
    if kind == "SalesReceipt":
        return None
    total = body["_total"]
    return body["CustomerRef"]["ListID"], body["ARAccountRef"]["ListID"], -total if kind == "CreditMemo" else total


def void(body: Body, kind: str) -> None:
    for line in body.get(f"{kind}LineRet", []):
        line["Amount"] = "0.00"
        for name in ("Quantity", "Rate"):
            line.pop(name, None)
