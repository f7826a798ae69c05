"""Invoice, SalesReceipt, CreditMemo, RefundReceipt: lines of items, a discount, tax; what they post."""

from decimal import Decimal

from emulators.qbo import vat
from emulators.qbo.books import Leg
from emulators.qbo.checks import Body
from emulators.qbo.company import Company
from emulators.qbo.fault import against_rules, invalid, missing, refused
from emulators.qbo.money import decimal, minor, rounded, wire
from emulators.qbo.open_items import Opened

MONEY_ACCOUNTS = ("Bank", "Other Current Asset", "Credit Card")


def complete(company: Company, entity: str, body: Body, _old: Body) -> Body:
    customer = None
    if "CustomerRef" in body or entity in ("Invoice", "CreditMemo"):
        customer = company.refer("Customer", body.get("CustomerRef"), "CustomerRef")
    default = customer["CurrencyRef"]["value"] if customer else company.home
    currency = company.denominate(body, default)
    if customer:
        company.must_match(currency, customer, "Customer")
    if not any(line.get("DetailType") in ("SalesItemLineDetail", "DescriptionOnly") for line in body.get("Line", [])):
        raise missing("Line")
    total = company.positive(_complete_lines(company, body), "TotalAmt")
    company.show_total(body, total)
    _complete_money(company, entity, body, total)
    return body


def _complete_money(company: Company, entity: str, body: Body, total: int) -> None:
    currency = body["CurrencyRef"]["value"]
    if entity == "Invoice":
        body.setdefault("DueDate", body["TxnDate"])
        body.setdefault("EmailStatus", "NotSet")
        body["Balance"] = wire(total, currency)
        body.setdefault("LinkedTxn", [])
    elif entity == "CreditMemo":
        body["Balance"] = body["RemainingCredit"] = wire(total, currency)
    else:
        if entity == "SalesReceipt":
            body.setdefault("DepositToAccountRef", company.reference_to("Undeposited Funds"))
        company.bank(body.get("DepositToAccountRef"), "DepositToAccountRef", MONEY_ACCOUNTS)
        body["Balance"] = 0
    body.setdefault("PrintStatus", "NotSet")


def _complete_lines(company: Company, body: Body) -> int:
    """Numbers the lines and adds them up, in minor units; the subtotal line is always written anew."""
    currency = body["CurrencyRef"]["value"]
    lines = [line for line in body["Line"] if line.get("DetailType") != "SubTotalLineDetail"]
    subtotal = sum(_sales_line(company, currency, line) for line in lines)
    discount = sum(_discount_line(company, currency, line, subtotal) for line in lines)
    for position, line in enumerate(lines, 1):
        line |= {"Id": str(position), "LineNum": position}
    shown: Body = {"Amount": wire(subtotal, currency), "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}}
    body["Line"] = [*lines, shown]
    return subtotal - discount + vat.complete(company, body, "Sales")


def _sales_line(company: Company, currency: str, line: Body) -> int:
    kind = line.get("DetailType")
    if kind is None:
        raise missing("Line.DetailType")
    if kind in ("DiscountLineDetail", "DescriptionOnly"):
        return 0
    if kind != "SalesItemLineDetail":
        raise invalid("Line.DetailType", f"{kind} cannot stand on a sales form")
    if "Amount" not in line:
        raise missing("Line.Amount")
    amount = minor(line["Amount"], currency)
    line["Amount"] = wire(amount, currency)
    detail = line.setdefault("SalesItemLineDetail", {})
    detail.setdefault("ItemRef", {"value": "1"})
    item = company.refer("Item", detail["ItemRef"], "Line.SalesItemLineDetail.ItemRef")
    for name in ("Qty", "UnitPrice"):  # clients send zero for "not given"
        if not detail.get(name):
            detail.pop(name, None)
    if "Qty" in detail and "UnitPrice" in detail:
        product = rounded(decimal(detail["Qty"]) * decimal(detail["UnitPrice"]), currency)
        if product != amount:
            raise refused(
                6070,
                "Amount calculation incorrect in the request",
                f"Amount is not equal to UnitPrice * Qty. Supplied value:{line['Amount']}",
            )
    vat.check_sale(company, detail, item)
    return amount


def _discount_line(company: Company, currency: str, line: Body, subtotal: int) -> int:
    if line["DetailType"] != "DiscountLineDetail":
        return 0
    detail = line.setdefault("DiscountLineDetail", {})
    detail.setdefault("DiscountAccountRef", company.reference_to("Discounts given"))
    company.refer("Account", detail["DiscountAccountRef"], "Line.DiscountLineDetail.DiscountAccountRef")
    if detail.get("PercentBased"):
        percent = decimal(detail.get("DiscountPercent", 0))
        amount = int((Decimal(subtotal) * percent / 100).quantize(Decimal(1), "ROUND_HALF_UP"))
    elif "Amount" in line:
        amount = minor(line["Amount"], currency)
    else:
        raise missing("Line.Amount")
    line["Amount"] = wire(amount, currency)
    return amount


# --- posting ----------------------------------------------------------------------------------------------------------


def legs(company: Company, entity: str, body: Body) -> list[Leg]:
    sign = -1 if entity in ("CreditMemo", "RefundReceipt") else 1
    total = company.minor(body, body["TotalAmt"])
    party = f"Customer:{body['CustomerRef']['value']}" if "CustomerRef" in body else ""
    first = company.leg(body, _money_account(company, entity, body), sign * total, party)
    rest = [company.leg(body, account, -sign * amount) for account, amount in _line_accounts(company, body)]
    return [first, *rest]


def _money_account(company: Company, entity: str, body: Body) -> str:
    if entity in ("Invoice", "CreditMemo"):
        return company.receivable(body["CurrencyRef"]["value"])
    return str(body["DepositToAccountRef"]["value"])


def _line_accounts(company: Company, body: Body) -> list[tuple[str, int]]:
    """(account, amount in the sense of income) of each line that posts."""
    found = []
    for line in body["Line"]:
        if line["DetailType"] == "SalesItemLineDetail":
            item = company.records.require("Item", line["SalesItemLineDetail"]["ItemRef"]["value"])
            if "IncomeAccountRef" not in item:
                raise against_rules(f"{item['Name']} has no income account.")
            found.append((item["IncomeAccountRef"]["value"], company.minor(body, line["Amount"])))
        elif line["DetailType"] == "DiscountLineDetail":
            account = line["DiscountLineDetail"]["DiscountAccountRef"]["value"]
            found.append((account, -company.minor(body, line["Amount"])))
    tax = company.minor(body, body.get("TxnTaxDetail", {}).get("TotalTax", 0))
    if tax:
        found.append((vat.account(company), tax))
    return found


def opens(company: Company, entity: str, body: Body) -> Opened | None:
    if entity not in ("Invoice", "CreditMemo"):
        return None
    leg = legs(company, entity, body)[0]
    return Opened(leg.account, leg.party, leg.amount if entity == "Invoice" else -abs(leg.amount), leg.home)
