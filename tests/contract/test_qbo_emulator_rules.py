"""What the stand-in refuses, and with which of Intuit's codes; requestid; queries; change lists; batches."""

from datetime import timedelta
from typing import Any

import pytest

from emulators.clock import Clock
from emulators.qbo import QboEmulator, QboFault
from tests.contract.qbo_company import bank, customer, journal_line, link, new_company, pay, ref, sale, sale_line, spend


@pytest.fixture
def books() -> QboEmulator:
    return new_company()


def code_of(action: Any, *arguments: Any) -> str:
    with pytest.raises(QboFault) as caught:
        action(*arguments)
    return caught.value.code


# Accounts of a new company: 1 Checking, 4 receivables, 7 Services, 14 bank charges; "euros" is made in EUR.
# Customers: 1 Ann (USD), 2 Eva (EUR).
INVOICE = {"CustomerRef": ref("1"), "Line": [sale_line(10)]}
PAYMENT = {"CustomerRef": ref("1"), "TotalAmt": 10}
ACCOUNT = {"Name": "New", "AccountType": "Bank"}
JOURNAL = [journal_line("Debit", 5, {"Id": "1"}), journal_line("Credit", 5, {"Id": "14"})]
EXPENSE_LINE = {
    "Amount": 5,
    "DetailType": "AccountBasedExpenseLineDetail",
    "AccountBasedExpenseLineDetail": {"AccountRef": ref("14")},
}
PURCHASE = {"PaymentType": "Cash", "AccountRef": ref("1"), "Line": [EXPENSE_LINE]}


@pytest.mark.parametrize(
    ("code", "entity", "body"),
    [
        ("2010", "Invoice", {**INVOICE, "Colour": "red"}),
        ("2010", "Invoice", {**INVOICE, "CustomerRef": {"value": "1", "id": "1"}}),
        ("2020", "Invoice", {"CustomerRef": ref("1")}),
        ("2020", "Invoice", {"Line": [sale_line(10)]}),
        ("2020", "Payment", {"CustomerRef": ref("1")}),
        ("2020", "RefundReceipt", INVOICE),
        ("2020", "Customer", {"CompanyName": ""}),
        ("2020", "Purchase", {**PURCHASE, "PaymentType": None}),
        ("2030", "Purchase", {**PURCHASE, "PaymentType": "Barter"}),
        ("2030", "Payment", {**PAYMENT, "TotalAmt": "ten"}),
        ("2030", "Payment", {**PAYMENT, "TotalAmt": 10.005}),
        (
            "2030",
            "JournalEntry",
            {"CurrencyRef": ref("JPY"), "Line": [journal_line("Debit", 0.5, {"Id": "1"}), *JOURNAL]},
        ),
        ("2030", "Payment", {**PAYMENT, "TotalAmt": float("nan")}),
        ("2030", "Payment", {**PAYMENT, "TotalAmt": 1e30}),
        ("2030", "Payment", {**PAYMENT, "TxnDate": "20.11.2026"}),
        ("2050", "Invoice", {**INVOICE, "DocNumber": "x" * 22}),
        ("2050", "Payment", {**PAYMENT, "PaymentRefNum": "x" * 22}),
        ("2050", "Payment", {**PAYMENT, "PrivateNote": "x" * 4001}),
        ("2220", "Invoice", {**INVOICE, "CurrencyRef": ref("EUR")}),
        ("2220", "Invoice", {**INVOICE, "CurrencyRef": ref("XYZ")}),
        ("2220", "Customer", {"DisplayName": "Kim", "CurrencyRef": ref("KRW")}),
        ("2220", "Account", {**ACCOUNT, "AccountType": "Income", "CurrencyRef": ref("EUR")}),
        ("2220", "Payment", {**PAYMENT, "DepositToAccountRef": ref("euros")}),
        ("2220", "Transfer", {"FromAccountRef": ref("euros"), "ToAccountRef": ref("1"), "Amount": 5}),
        ("2220", "JournalEntry", {"Line": [journal_line("Debit", 5, {"Id": "euros"}), JOURNAL[1]]}),
        ("2220", "Purchase", {**PURCHASE, "CurrencyRef": ref("USD"), "EntityRef": {"value": "2", "type": "Customer"}}),
        ("2290", "Payment", {**PAYMENT, "TotalAmt": -1}),
        ("2290", "Purchase", {**PURCHASE, "Line": [{**EXPENSE_LINE, "Amount": -5}]}),
        ("2300", "JournalEntry", {"Line": [JOURNAL[0], journal_line("Credit", 6, {"Id": "14"})]}),
        ("2500", "Invoice", {**INVOICE, "CustomerRef": ref("99")}),
        ("2500", "Payment", {**PAYMENT, "Line": [link(1, {"Id": "99"})]}),
        ("620", "Payment", {**PAYMENT, "Line": [link(1, {"Id": "99"}, "Estimate")]}),
        ("6000", "JournalEntry", {"Line": [JOURNAL[0], journal_line("Credit", 5, {"Id": "4"})]}),
        ("6000", "Purchase", {**PURCHASE, "AccountRef": ref("7")}),
        (
            "6070",
            "Invoice",
            {**INVOICE, "Line": [{**sale_line(10), "SalesItemLineDetail": {"Qty": 3, "UnitPrice": 3}}]},
        ),
        ("6240", "Customer", {"DisplayName": "ann"}),
        ("6240", "Vendor", {"DisplayName": "Ann"}),
        ("6240", "Account", {"Name": "Checking", "AccountType": "Bank"}),
        ("500", "Bill", {}),
    ],
)
def test_refusals(books: QboEmulator, code: str, entity: str, body: dict[str, Any]) -> None:
    customer(books)
    customer(books, "Eva", "EUR")
    euros = bank(books, "Clearing EUR", "EUR")["Id"]

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: filled(item) for name, item in value.items()}
        return [filled(item) for item in value] if isinstance(value, list) else euros if value == "euros" else value

    before = books.trial_balance()
    assert code_of(books.create, entity, filled(body)) == code
    assert books.trial_balance() == before


def test_inactive_things_cannot_be_used(books: QboEmulator) -> None:
    ann = customer(books)
    books.update("Customer", {"Id": ann["Id"], "SyncToken": "0", "sparse": True, "Active": False})
    assert code_of(sale, books, "Invoice", ann, 10) == "610"
    assert books.query("SELECT * FROM Customer") == {}
    assert len(books.query("SELECT * FROM Customer WHERE Active IN (true, false)")["Customer"]) == 1
    clearing = bank(books)
    books.update("Account", {**clearing, "Active": False})
    assert code_of(spend, books, clearing, 5, books.account("Savings")) == "610"


def test_a_full_update_clears_what_is_not_sent_and_a_sparse_one_keeps_it(books: QboEmulator) -> None:
    ann = books.create("Customer", {"DisplayName": "Ann", "CompanyName": "Ann & Co", "Notes": "first"})
    head = {"Id": ann["Id"], "DisplayName": "Ann"}
    kept = books.update("Customer", {**head, "SyncToken": 0, "sparse": True, "Notes": ""})
    assert (kept.get("CompanyName"), kept.get("Notes")) == ("Ann & Co", None)
    assert "CompanyName" not in books.update("Customer", {**head, "SyncToken": "1"})
    assert code_of(books.update, "Customer", {**head, "SyncToken": "1"}) == "5010"
    assert code_of(books.update, "Customer", {"Id": ann["Id"]}) == "2020"


def test_a_closed_period_takes_no_change(books: QboEmulator) -> None:
    ann = customer(books)
    old = sale(books, "Invoice", ann, 10, TxnDate="2026-10-31")
    books.update("Preferences", {"Id": "1", "SyncToken": "0", "AccountingInfoPrefs": {"BookCloseDate": "2026-10-31"}})
    assert code_of(books.delete, "Invoice", old) == "6200"
    assert code_of(books.update, "Invoice", {**old, "TxnDate": "2026-11-01"}) == "6200"
    books.switch(closing_password=True)
    assert code_of(lambda: sale(books, "Invoice", ann, 10, TxnDate="2026-10-01")) == "6210"
    sale(books, "Invoice", ann, 10, TxnDate="2026-11-01")
    books.update("Preferences", {"Id": "1", "SyncToken": "1", "AccountingInfoPrefs": {"BookCloseDate": None}})
    books.delete("Invoice", old)


def test_document_numbers_are_given_or_must_be_unique(books: QboEmulator) -> None:
    ann = customer(books)
    assert [sale(books, "Invoice", ann, 10)["DocNumber"] for _ in range(2)] == ["1001", "1002"]
    books.update("Preferences", {"Id": "1", "SyncToken": "0", "SalesFormsPrefs": {"CustomTxnNumbers": True}})
    assert "DocNumber" not in sale(books, "Invoice", ann, 10)
    assert code_of(lambda: sale(books, "Invoice", ann, 10, DocNumber="1001")) == "6140"
    body = {"CustomerRef": ref(ann), "Line": [sale_line(10)], "DocNumber": "1001"}
    books.api.write("invoice", {"include": "allowduplicatedocnum"}, body)


def test_a_repeated_requestid_gives_the_first_answer_and_writes_nothing(books: QboEmulator) -> None:
    ann = customer(books)
    body = {"CustomerRef": ref(ann), "TotalAmt": 10}
    first = books.create("Payment", body, request_id="abc")
    assert books.create("Payment", body, request_id="abc") == first
    assert code_of(lambda: books.create("Payment", {**body, "TotalAmt": 99}, request_id="abc")) == "2130"
    assert code_of(lambda: books.create("Payment", {**body, "TotalAmt": "x"}, request_id="def")) == "2030"
    assert books.create("Payment", body, request_id="def")["Id"] != first["Id"]  # a refusal is not remembered
    books.switch(forget_request_ids=True)
    assert books.create("Payment", body, request_id="abc")["Id"] != first["Id"]
    assert code_of(lambda: books.create("Payment", body, request_id="x" * 51)) == "2130"


# --- reading ----------------------------------------------------------------------------------------------------------


def test_queries(books: QboEmulator) -> None:
    ann, bob = customer(books), customer(books, "Bob O'Neil")
    for number in range(5):
        sale(books, "Invoice", (ann, bob)[number % 2], 10 * (number + 1), TxnDate=f"2026-10-0{number + 1}")
    pay(books, ann, 10, link(10, {"Id": "1"}))

    def ids(where: str) -> list[str]:
        return [body["Id"] for body in books.query(f"select * from invoice {where}").get("Invoice", [])]

    assert ids("") == ["1", "2", "3", "4", "5"]
    assert ids("where Balance > '0'") == ["2", "3", "4", "5"]
    assert ids(f"WHERE CustomerRef = '{ann['Id']}' AND TxnDate >= '2026-10-03'") == ["3", "5"]
    assert ids("WHERE TxnDate IN ('2026-10-01', '2026-10-04') ORDERBY TxnDate DESC") == ["4", "1"]
    assert ids("WHERE TotalAmt = 30 Order By Id") == ["3"]
    assert ids("ORDERBY TotalAmt DESC STARTPOSITION 2 MAXRESULTS 2") == ["4", "3"]
    assert ids("WHERE TxnDate = 2026-10-02") == ["2"]
    assert ids("WHERE DocNumber LIKE '%04'") == ["4"]
    assert books.query("SELECT COUNT(*) FROM Invoice WHERE TotalAmt <= '20.00'") == {"totalCount": 2}
    assert books.query(r"SELECT * FROM Customer WHERE DisplayName = 'Bob O\'Neil'")["Customer"][0]["Id"] == bob["Id"]
    some = books.query("SELECT Id, DocNumber FROM Invoice MAXRESULTS 1")["Invoice"][0]
    assert (some["DocNumber"], "Line" in some) == ("1001", False)
    assert books.query("SELECT *, Sku FROM Item MAXRESULTS 1")["Item"][0]["Name"] == "Services"


def test_an_unpaged_query_gives_a_hundred(books: QboEmulator) -> None:
    for number in range(101):
        customer(books, f"Customer {number}")
    assert len(books.query("SELECT * FROM Customer")["Customer"]) == 100
    page = books.query("SELECT * FROM Customer STARTPOSITION 101 MAXRESULTS 1000")
    assert (page["startPosition"], page["maxResults"]) == (101, 1)


@pytest.mark.parametrize(
    ("code", "sql"),
    [
        ("4000", "SELECT * FROM Invoice WHERE TotalAmt = 1 OR TotalAmt = 2"),
        ("4000", "SELECT * FROM Invoice, Customer"),
        ("4000", "SELECT * FROM Invoice GROUP BY CustomerRef"),
        ("4000", "SELECT * Invoice"),
        ("4001", "SELECT * FROM Invoice WHERE PrivateNote = 'x'"),
        ("4001", "SELECT * FROM Payment WHERE DocNumber = 'x'"),
        ("4001", "SELECT * FROM Payment WHERE UnappliedAmt > '0'"),
        ("4001", "SELECT * FROM Invoice WHERE Colour = 'red'"),
        ("4001", "SELECT Colour FROM Invoice"),
        ("4001", "SELECT * FROM Unicorn"),
        ("4001", "SELECT * FROM Invoice MAXRESULTS 1001"),
        ("4002", "SELECT * FROM Invoice WHERE Balance > 'much'"),
        ("4002", "SELECT * FROM Invoice WHERE MetaData.LastUpdatedTime > 'yesterday'"),
    ],
)
def test_queries_that_intuit_refuses(books: QboEmulator, code: str, sql: str) -> None:
    sale(books, "Invoice", customer(books), 10)
    assert code_of(books.query, sql) == code


def hour_later(books: QboEmulator) -> str:
    clock: Clock = books.clock
    clock.advance(timedelta(hours=1))
    return books.records.now().isoformat()


def test_a_payment_makes_its_invoice_customer_and_accounts_appear_as_changed(books: QboEmulator) -> None:
    ann, clearing = customer(books), bank(books)
    invoice, other = sale(books, "Invoice", ann, 10), sale(books, "Invoice", ann, 20)
    since = hour_later(books)
    payment = pay(books, ann, 10, link(10, invoice), into=clearing)
    books.delete("Invoice", other)

    changed = books.api.changes({"entities": "Invoice,Payment,Customer,Account,Vendor", "changedSince": since})
    invoices, payments, customers, accounts, vendors = changed["CDCResponse"][0]["QueryResponse"]
    assert [(body["Id"], body.get("status")) for body in invoices["Invoice"]] == [
        (invoice["Id"], None),
        (other["Id"], "Deleted"),
    ]
    assert payments["Payment"] == [payment]
    assert customers["Customer"][0]["Balance"] == 0
    assert {body["Name"] for body in accounts["Account"]} == {"Stripe Clearing", "Accounts Receivable (A/R)"}
    assert vendors == {}
    found = books.query(f"SELECT * FROM Invoice WHERE MetaData.LastUpdatedTime >= '{since}'")["Invoice"]
    assert [body["Id"] for body in found] == [invoice["Id"]]


def test_a_change_list_has_limits(books: QboEmulator) -> None:
    long_ago = (books.records.now() - timedelta(days=31)).isoformat()
    assert code_of(books.api.changes, {"entities": "Invoice", "changedSince": long_ago}) == "2030"
    since = books.records.now().isoformat()
    for number in range(600):
        books.create("Customer", {"DisplayName": f"C{number}"})
        books.create("Vendor", {"DisplayName": f"V{number}"})
    rows = books.api.changes({"entities": "Customer,Vendor", "changedSince": since})["CDCResponse"][0]["QueryResponse"]
    assert [row["totalCount"] for row in rows] == [600, 400]


def test_a_batch_does_each_item_on_its_own(books: QboEmulator) -> None:
    ann = customer(books)
    items = [
        {"bId": "1", "operation": "create", "Invoice": {"CustomerRef": ref(ann), "Line": [sale_line(10)]}},
        {"bId": "2", "operation": "create", "Invoice": {"CustomerRef": ref("99"), "Line": [sale_line(10)]}},
        {"bId": "3", "Query": "SELECT * FROM Invoice"},
    ]
    done, failed, found = books.api.batch({"requestid": "r"}, {"BatchItemRequest": items})["BatchItemResponse"]
    assert (done["bId"], done["Invoice"]["Id"]) == ("1", "1")
    assert failed["Fault"]["Error"][0]["code"] == "2500"
    assert [body["Id"] for body in found["QueryResponse"]["Invoice"]] == ["1"]
    books.api.batch({"requestid": "r"}, {"BatchItemRequest": items})
    assert books.query("SELECT COUNT(*) FROM Invoice") == {"totalCount": 1}
    assert code_of(books.api.batch, {}, {"BatchItemRequest": [{"bId": str(n)} for n in range(31)]}) == "1040"
