"""Purchase (expense, check, card), Deposit, Transfer, JournalEntry."""

from emulators.qbo import vat
from emulators.qbo.books import RECEIVABLE, Leg
from emulators.qbo.checks import Body
from emulators.qbo.company import Company
from emulators.qbo.fault import against_rules, invalid, missing, refused, wrong_currency
from emulators.qbo.money import wire
from emulators.qbo.open_items import Opened

BANK_OF = {"Cash": ("Bank",), "Check": ("Bank",), "CreditCard": ("Credit Card",)}
BALANCE_SHEET = (
    "Bank",
    "Credit Card",
    "Other Current Asset",
    "Other Current Liability",
    "Equity",
    "Other Asset",
    "Long Term Liability",
    "Fixed Asset",
)


def amount_of(company: Company, body: Body, line: Body) -> int:
    if "Amount" not in line:
        raise missing("Line.Amount")
    amount = company.minor(body, line["Amount"])
    line["Amount"] = wire(amount, body["CurrencyRef"]["value"])
    return amount


def number_lines(body: Body, first: int = 1) -> None:
    for position, line in enumerate(body["Line"], first):
        line |= {"Id": str(position), "LineNum": max(position, 1)}


# --- Purchase ---------------------------------------------------------------------------------------------------------


def complete_purchase(company: Company, _entity: str, body: Body, _old: Body) -> Body:
    if "PaymentType" not in body:
        raise missing("PaymentType")
    account = company.bank(body.get("AccountRef"), "AccountRef", BANK_OF[body["PaymentType"]])
    payee = _payee(company, body)
    own = account["CurrencyRef"]["value"]
    currency = company.denominate(body, payee["CurrencyRef"]["value"] if payee else own)
    if payee:
        company.must_match(currency, payee, body["EntityRef"]["type"])
    if not body.get("Line"):
        raise missing("Line")
    total = 0
    for line in body["Line"]:
        total += amount_of(company, body, line)
        vat.check_code(company, line[line["DetailType"]], _expense_account(company, line))
    number_lines(body)
    total += vat.complete(company, body, "Purchase")
    company.show_total(body, company.positive(total, "TotalAmt"), has_home_total=False)
    body.setdefault("PrintStatus", "NotSet")
    body.setdefault("Credit", False)
    return body


def _payee(company: Company, body: Body) -> Body | None:
    if "EntityRef" not in body:
        return None
    kind = body["EntityRef"].setdefault("type", "Vendor")
    if kind not in ("Customer", "Vendor"):
        raise invalid("EntityRef.type", f"{kind} is not one of Customer, Vendor")
    return company.refer(kind, body["EntityRef"], "EntityRef")


def _expense_account(company: Company, line: Body) -> str:
    kind = line.get("DetailType")
    if kind == "AccountBasedExpenseLineDetail":
        detail = line.setdefault(kind, {})
        account = company.refer("Account", detail.get("AccountRef"), f"Line.{kind}.AccountRef")
        detail.setdefault("BillableStatus", "NotBillable")
        return str(account["Id"])
    if kind == "ItemBasedExpenseLineDetail":
        item = company.refer("Item", line.setdefault(kind, {}).get("ItemRef"), f"Line.{kind}.ItemRef")
        if "ExpenseAccountRef" not in item:
            raise against_rules(f"{item['Name']} has no expense account.")
        return str(item["ExpenseAccountRef"]["value"])
    raise missing("Line.DetailType") if kind is None else invalid("Line.DetailType", f"{kind} cannot stand here")


def purchase_legs(company: Company, _entity: str, body: Body) -> list[Leg]:
    sign = -1 if body["Credit"] else 1
    party = f"{body['EntityRef']['type']}:{body['EntityRef']['value']}" if "EntityRef" in body else ""
    paid = company.leg(body, body["AccountRef"]["value"], -sign * company.minor(body, body["TotalAmt"]))
    spent = [
        company.leg(body, _expense_account(company, line), sign * company.minor(body, line["Amount"]), party)
        for line in body["Line"]
    ]
    return [paid, *spent, *_tax(company, body, sign)]


def _tax(company: Company, body: Body, sign: int) -> list[Leg]:
    tax = company.minor(body, body.get("TxnTaxDetail", {}).get("TotalTax", 0))
    return [company.leg(body, vat.account(company), sign * tax)] if tax else []


def purchase_opens(company: Company, _entity: str, body: Body) -> Opened | None:
    return _receivable_part(company, purchase_legs(company, "Purchase", body))


def _receivable_part(company: Company, legs: list[Leg]) -> Opened | None:
    """What a document puts on receivables; only one customer and account can be linked to a payment."""
    found = [leg for leg in legs if company.records.require("Account", leg.account)["AccountType"] == RECEIVABLE]
    if len({(leg.account, leg.party) for leg in found}) != 1:
        return None
    amount, home = sum(leg.amount for leg in found), sum(leg.home for leg in found)
    return Opened(found[0].account, found[0].party, amount, home) if amount else None


# --- Deposit ----------------------------------------------------------------------------------------------------------


def complete_deposit(company: Company, _entity: str, body: Body, _old: Body) -> Body:
    account = company.bank(body.get("DepositToAccountRef"), "DepositToAccountRef", ("Bank", "Other Current Asset"))
    currency = company.denominate(body, account["CurrencyRef"]["value"])
    if account["CurrencyRef"]["value"] not in (currency, company.home):
        raise wrong_currency(f"{account['Name']} cannot take a deposit in {currency}.", "DepositToAccountRef")
    if not body.get("Line"):
        raise missing("Line")
    total = sum(_deposit_line(company, body, line) for line in body["Line"])
    total += company.minor(body, body.get("TxnTaxDetail", {}).get("TotalTax", 0))
    number_lines(body)
    company.show_total(body, company.positive(total - _cash_back(company, body), "TotalAmt"))
    return body


def _deposit_line(company: Company, body: Body, line: Body) -> int:
    amount = amount_of(company, body, line)
    if line.get("DetailType") == "DepositLineDetail" or not line.get("LinkedTxn"):
        line["DetailType"] = "DepositLineDetail"
        detail = line.setdefault("DepositLineDetail", {})
        company.refer("Account", detail.get("AccountRef"), "Line.DepositLineDetail.AccountRef")
        _deposit_entity(company, detail)
        return amount
    link = line["LinkedTxn"][0]
    if link.get("TxnType") not in ("Payment", "SalesReceipt"):
        raise against_rules(f"A deposit cannot be linked to a transaction of type {link.get('TxnType')}.", 620)
    link.setdefault("TxnLineId", "0")
    return amount


def _deposit_entity(company: Company, detail: Body) -> None:
    if "Entity" in detail:
        kind = detail["Entity"].setdefault("type", "CUSTOMER").title()
        if kind not in ("Customer", "Vendor"):
            raise invalid("Line.DepositLineDetail.Entity.type", kind)
        company.refer(kind, detail["Entity"], "Line.DepositLineDetail.Entity")


def _cash_back(company: Company, body: Body) -> int:
    back = body.get("CashBack")
    if back is None:
        return 0
    company.refer("Account", back.get("AccountRef"), "CashBack.AccountRef")
    return company.minor(body, back.get("Amount", 0))


def deposit_legs(company: Company, _entity: str, body: Body) -> list[Leg]:
    """Also marks the payments it takes out of Undeposited Funds as deposited."""
    legs = [company.leg(body, body["DepositToAccountRef"]["value"], company.minor(body, body["TotalAmt"]))]
    if "CashBack" in body:
        legs.append(company.leg(body, body["CashBack"]["AccountRef"]["value"], _cash_back(company, body)))
    taken = []
    for line in body["Line"]:
        amount = company.minor(body, line["Amount"])
        if line.get("LinkedTxn"):
            legs.append(_take_undeposited(company, body, line, amount))
            taken.append(f"{line['LinkedTxn'][0]['TxnType']}:{line['LinkedTxn'][0]['TxnId']}")
        else:
            detail = line["DepositLineDetail"]
            entity = detail.get("Entity")
            party = f"{entity['type'].title()}:{entity['value']}" if entity else ""
            legs.append(company.leg(body, detail["AccountRef"]["value"], -amount, party))
    company.records.store.put("taken", body["Id"], {"taken": taken}, created=0)
    return [*legs, *_tax(company, body, -1)]


def _take_undeposited(company: Company, body: Body, line: Body, amount: int) -> Leg:
    kind, source_id = line["LinkedTxn"][0]["TxnType"], line["LinkedTxn"][0].get("TxnId", "")
    source = company.records.require(kind, source_id)
    undeposited = company.account_named("Undeposited Funds")["Id"]
    if source["DepositToAccountRef"]["value"] != undeposited:
        raise against_rules(f"{kind} {source_id} is not in Undeposited Funds.", 620)
    if company.records.store.get("deposited", f"{kind}:{source_id}"):
        raise against_rules(f"{kind} {source_id} has already been deposited.", 620)
    held = company.leg(source, undeposited, company.minor(source, source["TotalAmt"]))
    currency = body["CurrencyRef"]["value"]
    if amount != (held.amount if source["CurrencyRef"]["value"] == currency else held.home):
        raise against_rules(f"A linked {kind} is deposited whole: {source['TotalAmt']}, not {line['Amount']}.")
    company.records.store.put("deposited", f"{kind}:{source_id}", {"deposit": body["Id"]}, created=0)
    _link_to_deposit(company, kind, source, body["Id"])
    return Leg(undeposited, -amount, -held.home)


def _link_to_deposit(company: Company, kind: str, source: Body, deposit: str | None) -> None:
    links = [link for link in source.get("LinkedTxn", []) if link["TxnType"] != "Deposit"]
    source["LinkedTxn"] = links if deposit is None else [*links, {"TxnId": deposit, "TxnType": "Deposit"}]
    if not source["LinkedTxn"]:
        del source["LinkedTxn"]
    company.records.touch(kind, source)


def undo_deposit(company: Company, body: Body) -> None:
    row = company.records.store.get("taken", body["Id"])
    for source in row["taken"] if row else []:
        kind, _, source_id = source.partition(":")
        company.records.store.delete("deposited", source)
        _link_to_deposit(company, kind, company.records.require(kind, source_id), None)
    company.records.store.delete("taken", body["Id"])


# --- Transfer ---------------------------------------------------------------------------------------------------------


def complete_transfer(company: Company, _entity: str, body: Body, _old: Body) -> Body:
    source = company.bank(body.get("FromAccountRef"), "FromAccountRef", BALANCE_SHEET)
    sink = company.bank(body.get("ToAccountRef"), "ToAccountRef", BALANCE_SHEET)
    if source["Id"] == sink["Id"]:
        raise against_rules("You cannot transfer funds to the account they come from.")
    if "Amount" not in body:
        raise missing("Amount")
    currencies = source["CurrencyRef"]["value"], sink["CurrencyRef"]["value"]
    if currencies[0] != currencies[1] and not company.switches.transfers_across_currencies:
        raise wrong_currency(f"A transfer cannot go from {currencies[0]} to {currencies[1]}.")
    foreign = next((code for code in currencies if code != company.home), company.home)
    company.denominate(body, foreign)
    if body["CurrencyRef"]["value"] not in currencies:
        raise wrong_currency("A transfer is in the currency of its accounts.")
    body["Amount"] = wire(company.positive(company.minor(body, body["Amount"]), "Amount"), body["CurrencyRef"]["value"])
    return body


def transfer_legs(company: Company, _entity: str, body: Body) -> list[Leg]:
    amount = company.minor(body, body["Amount"])
    return [
        company.leg(body, body["ToAccountRef"]["value"], amount),
        company.leg(body, body["FromAccountRef"]["value"], -amount),
    ]


# --- JournalEntry -----------------------------------------------------------------------------------------------------


def complete_journal(company: Company, _entity: str, body: Body, _old: Body) -> Body:
    company.denominate(body, company.home)
    if len(body.get("Line", [])) < 2:
        raise missing("Line")
    debit = credit = 0
    for line in body["Line"]:
        if line.get("DetailType") == "DescriptionOnly":
            continue
        amount = company.positive(amount_of(company, body, line), "Line.Amount")
        if _journal_line(company, body, line) == "Debit":
            debit += amount
        else:
            credit += amount
    if debit != credit:
        raise refused(
            2300, "Debits and credits are not equal", f"Total debits {debit} must equal total credits {credit}.", "Line"
        )
    number_lines(body, 0)
    company.show_total(body, debit)
    body.setdefault("Adjustment", False)
    return body


def _journal_line(company: Company, body: Body, line: Body) -> str:
    if line.get("DetailType") != "JournalEntryLineDetail":
        raise missing("Line.DetailType")
    detail = line.setdefault("JournalEntryLineDetail", {})
    if "PostingType" not in detail:
        raise missing("Line.JournalEntryLineDetail.PostingType")
    company.refer("Account", detail.get("AccountRef"), "Line.JournalEntryLineDetail.AccountRef")
    if "Entity" in detail:
        kind = detail["Entity"].get("Type", "Customer")
        party = company.refer(kind, detail["Entity"].get("EntityRef"), "Line.JournalEntryLineDetail.Entity.EntityRef")
        company.must_match(body["CurrencyRef"]["value"], party, kind)
    return str(detail["PostingType"])


def journal_legs(company: Company, _entity: str, body: Body) -> list[Leg]:
    legs = []
    for line in body["Line"]:
        detail = line.get("JournalEntryLineDetail")
        if detail is None:
            continue
        entity = detail.get("Entity")
        party = f"{entity.get('Type', 'Customer')}:{entity['EntityRef']['value']}" if entity else ""
        sign = 1 if detail["PostingType"] == "Debit" else -1
        legs.append(company.leg(body, detail["AccountRef"]["value"], sign * company.minor(body, line["Amount"]), party))
    return legs


def journal_opens(company: Company, _entity: str, body: Body) -> Opened | None:
    return _receivable_part(company, journal_legs(company, "JournalEntry", body))
