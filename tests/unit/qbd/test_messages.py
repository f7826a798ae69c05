# ruff: noqa: RUF001 - letters that QuickBooks cannot store
"""qbXML, held to Intuit's own schema: every document that is written, every question that is asked."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from lxml import etree

from reconcile.postings import Posting, PostingLine
from reconcile.records import Applied, Document
from reconcile.reversal import how_to_undo, taking_back
from sync.errors import Ambiguous, Rejected, Stale, SyncError, Transient
from sync.ports import Response
from sync.qbd import faults, qbxml, reading, wire
from sync.qbd.records import Books

SET_ID = "s0123456789abcdef012345"
DAY = date(2026, 11, 20)
COMMON: dict[str, Any] = {
    "marker": "txn_1:gross:r1:s1",
    "dated": DAY,
    "currency": "USD",
    "amount_minor": 21_000,
    "account_id": "80000013-1416570432",
    "memo": "Zoë Müller’s order – 20 €: ch_3PabcdEfGhIjKlMnOpQrStUv",
    "reference": "ch_3PabcdEfGhIjKlMnOpQrStUv",
    "party_id": "80000013-1416570432",
}
EXPENSE = (PostingLine(amount_minor=320, account_id="80000014-1416570432", description="Stripe <fee> & more"),)
ITEM = (PostingLine(amount_minor=21_000, item_id="80000015-1416570432"),)
JOURNAL = (
    PostingLine(amount_minor=21_000, account_id="80000014-1416570432", party_id="80000013-1416570432"),
    PostingLine(amount_minor=-21_000, account_id="80000013-1416570432"),
)
JAPANESE = COMMON | {"currency": "JPY"}
ON_MEMO = (Applied(id="credit_memo:D1-1417118700", amount_minor=21_000),)
ON_INVOICE = (Applied(id="invoice:C5-1417118624", amount_minor=20_600),)
POSTINGS = [
    Posting(kind="payment", applied=ON_INVOICE, **COMMON),
    Posting(kind="payment", exchange_rate="1.08", **COMMON),
    Posting(kind="sales_receipt", lines=ITEM, **COMMON),
    Posting(kind="credit_memo", lines=ITEM, **COMMON),
    Posting(kind="purchase", lines=EXPENSE, **COMMON),
    Posting(kind="deposit", lines=EXPENSE, **COMMON),
    Posting(kind="deposit", applied=(Applied(id="payment:B7-1417040299", amount_minor=21_000),), **COMMON),
    Posting(kind="transfer", other_account_id="80000016-1416570432", **COMMON),
    Posting(kind="journal_entry", lines=JOURNAL, **COMMON),
    Posting(kind="invoice", lines=ITEM, discount_minor=1_000, class_id="80000018-1", **COMMON),
    Posting(kind="credit_memo", lines=ITEM, exchange_rate="1.0845", class_id="80000018-1", **COMMON),
    Posting(kind="ar_refund", applied=ON_MEMO, payment_method_id="80000019-1", **COMMON),
    Posting(kind="journal_entry", lines=JOURNAL, exchange_rate="0.0067", class_id="80000018-1", **JAPANESE),
    Posting(kind="deposit", lines=EXPENSE, exchange_rate="0.0067", class_id="80000018-1", **JAPANESE),
]
USES_CREDIT = Posting(kind="payment", target="credit_memo:D1-1", change="link", applied=ON_INVOICE, **COMMON)
MOVES = Posting(
    kind="payment",
    target="payment:B7-1417040299",
    change="move",
    applied=(Applied(id="purchase:E1-1", amount_minor=21_000),),
    **COMMON,
)
PAYMENT_RET = (
    "<ReceivePaymentRet><TxnID>B7-1417040299</TxnID><EditSequence>1405768916</EditSequence>"
    "<AppliedToTxnRet><TxnID>C5-1</TxnID><TxnType>Invoice</TxnType><Amount>210.00</Amount></AppliedToTxnRet>"
    "</ReceivePaymentRet>"
)


@pytest.fixture(scope="module")
def schema(specs: Any) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(specs / "qbxml" / "qbxmlops130.xsd"))


@pytest.mark.specs
@pytest.mark.parametrize("posting", POSTINGS, ids=lambda posting: posting.kind)
def test_every_document_fits_the_schema(schema: etree.XMLSchema, posting: Posting) -> None:
    around = wire.Surroundings(ar_account_id="80000017-1416570432", currency_id="8000001A-1")
    body = wire.write_body(posting, SET_ID, around)
    schema.assertValid(etree.fromstring(body.encode()))
    assert body.isascii()
    assert body == wire.write_body(posting, SET_ID, around)
    assert f"[tieout {posting.marker}]" in body
    assert (wire.external_guid(posting) in body) == (posting.kind != "transfer")


@pytest.mark.specs
def test_what_changes_a_document_fits_the_schema(schema: etree.XMLSchema) -> None:
    around = wire.Surroundings(ar_account_id="80000017-1", target=etree.fromstring(PAYMENT_RET))
    uses, moves = (wire.write_body(each, SET_ID, around) for each in (USES_CREDIT, MOVES))
    for body in (uses, moves):
        schema.assertValid(etree.fromstring(body.encode()))
    assert "<TxnID>C5-1417118624</TxnID><SetCredit><CreditTxnID>D1-1</CreditTxnID>" in uses
    assert "<TotalAmount>0.00</TotalAmount>" in uses, "no money is received"
    assert "<TxnID>C5-1</TxnID><PaymentAmount>0.00</PaymentAmount>" in moves, "it is taken off the invoice"
    assert "<TxnID>E1-1</TxnID><PaymentAmount>210.00</PaymentAmount>" in moves


@pytest.mark.specs
@pytest.mark.parametrize("kind", sorted(set(wire.ENTITY) - {"transfer"}))
def test_what_takes_a_document_back_fits_the_schema(schema: etree.XMLSchema, kind: Any) -> None:
    """As an undo of each kind asks for it; QuickBooks voids no payment."""
    seen = Document(
        id=f"{kind}:B7-1", kind=kind, ledger_id="B7-1", version="1", currency="USD", amount_minor=1, dated=DAY
    )
    how = how_to_undo(seen, None, is_fixed=False, on_desktop=True)
    assert how == ("delete" if kind == "payment" else "void")
    taken = taking_back(Posting(kind=kind, **COMMON), seen, "txn_1:gross-undo:r1:s1", how)
    body = wire.write_body(taken, SET_ID)
    schema.assertValid(etree.fromstring(body.encode()))
    assert f"Type>{wire.ENTITY[kind]}</" in body
    assert "<TxnID>B7-1</TxnID>" in body


@pytest.mark.specs
@pytest.mark.parametrize("mark", [None, "2026-11-01T10:00:00"])
@pytest.mark.parametrize("entity", [each for each in reading.ENTITIES if each != reading.AGAIN])
def test_every_question_fits_the_schema(schema: etree.XMLSchema, entity: str, mark: str | None) -> None:
    position = {"n": 7, "iterator": "{eb05f701-e727-472f-8ade-6753c4f67a46}" if mark else None}
    body = reading.question(entity, mark, position)
    schema.assertValid(etree.fromstring(body.encode()))


@pytest.mark.specs
def test_a_status_check_names_the_set_twice(schema: etree.XMLSchema) -> None:
    """Once would make QuickBooks forget it."""
    body = qbxml.status_check(SET_ID)
    schema.assertValid(etree.fromstring(body.encode()))
    assert body.count(SET_ID) == 2


def test_a_set_has_an_id_that_quickbooks_takes_and_no_other_has() -> None:
    ids = {wire.message_set_id(POSTINGS[0], connection, attempt) for connection in (1, 2) for attempt in (0, 1)}
    ids.add(wire.message_set_id(replace(POSTINGS[0], marker="txn_2:gross:r1:s1"), 1, 0))
    assert len(ids) == 5
    assert {len(each) for each in ids} == {23}


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Zoë’s “order” – 20 €", 'Zoë\'s "order" - 20 EUR'),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "Full width"),
        ("Łódź 東京 \x00\x07bell", "?ódz ?? bell"),
        ("e\u0301", "é"),
    ],
)
def test_text_is_what_quickbooks_can_store(text: str, stored: str) -> None:
    assert qbxml.fold(text) == stored


@pytest.mark.parametrize(
    "posting",
    [
        Posting(kind="refund_receipt", lines=ITEM, **COMMON),
        Posting(kind="payment", target="payment:A1-1", change="void", **COMMON),
        Posting(kind="transfer", target="transfer:A1-1", change="delete", **COMMON),
        Posting(kind="purchase", target="purchase:A1-1", change="restore", **COMMON),
        MOVES,  # the payment is gone
        Posting(kind="sales_receipt", lines=ITEM, tax_minor=100, tax_code="TAX", **COMMON),
        Posting(kind="transfer", other_account_id="80000016-1", **COMMON | {"currency": "KWD", "amount_minor": 1_001}),
    ],
)
def test_what_desktop_cannot_do_says_so(posting: Posting) -> None:
    with pytest.raises(Rejected):
        wire.write_body(posting, SET_ID)


def answer(code: int, text: str = "", content: str = "", request_id: str = "r1") -> Response:
    body = (
        f'<?xml version="1.0" ?><QBXML><QBXMLMsgsRs><CheckAddRs requestID="{request_id}" statusCode="{code}" '
        f'statusSeverity="Error" statusMessage="{text}">{content}</CheckAddRs></QBXMLMsgsRs></QBXML>'
    )
    return Response(status=200, body=body)


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (answer(3140, "There is an invalid reference"), Rejected),
        (answer(3200, "The provided edit sequence is out-of-date"), Stale),
        (answer(3210, "You cannot pay more than the amount due."), Stale),
        (answer(3175, "There was an error: list element is in use"), Transient),
        (answer(3180, "There was an error when saving"), Rejected),
        (answer(1000, "There has been an internal error"), Ambiguous),
        (answer(0, request_id="another"), Ambiguous),
        (Response(status=200, body="<QBXML><QBXMLMsgsRs><Chec"), Ambiguous),
        (Response(status=500, body="", lost="0x80040400 QuickBooks found an error when parsing"), Rejected),
        (Response(status=500, body="", lost="0x80040402 unexpected"), Ambiguous),
    ],
)
def test_what_an_answer_to_a_write_means(response: Response, error: type[SyncError]) -> None:
    """Only what certainly was not done may be done again without a look."""
    with pytest.raises(error) as raised:
        faults.check(response, "r1", write=True)
    assert type(raised.value) is error
    assert raised.value.plain


@pytest.mark.parametrize("sink", ["dollars", "unknown"])
def test_a_transfer_whose_currency_is_not_certain_is_not_guessed(sink: str) -> None:
    transfer = etree.fromstring(
        "<TransferRet><TxnID>B7-1</TxnID><EditSequence>1</EditSequence><TxnDate>2026-07-19</TxnDate>"
        "<TransferFromAccountRef><ListID>yen</ListID><FullName>Yen</FullName></TransferFromAccountRef>"
        f"<TransferToAccountRef><ListID>{sink}</ListID><FullName>Other</FullName></TransferToAccountRef>"
        "<Amount>100.00</Amount></TransferRet>"
    )
    known = {"yen": "JPY", "dollars": "USD"}
    with pytest.raises(ValueError, match="Yen and Other"):
        Books("USD", {"1": "USD", "2": "JPY"}, known.get).document(transfer)
    assert Books("USD", {}, known.get).document(transfer).amount_minor == 10_000


def test_a_document_of_a_company_with_one_currency() -> None:
    payment = etree.fromstring(
        "<ReceivePaymentRet><TxnID>B7-1417040299</TxnID><TimeModified>2026-07-19T07:21:56-05:00</TimeModified>"
        "<EditSequence>1405768916</EditSequence><CustomerRef><ListID>80-1</ListID><FullName>Ann</FullName></CustomerRef>"
        "<TxnDate>2026-07-19</TxnDate><RefNumber>ch_3PabcdEfGhIj</RefNumber><TotalAmount>100.00</TotalAmount>"
        "<Memo>ch_3PabcdEfGhIj [tieout txn_1:gross:r1:s1]</Memo>"
        "<DepositToAccountRef><ListID>90-1</ListID></DepositToAccountRef><UnusedPayment>20.00</UnusedPayment>"
        "<AppliedToTxnRet><TxnID>C5-1417118624</TxnID><TxnType>Invoice</TxnType><Amount>80.00</Amount></AppliedToTxnRet>"
        "</ReceivePaymentRet>"
    )
    document = Books("USD", {}).document(payment)
    assert (document.id, document.amount_minor, document.open_minor) == ("payment:B7-1417040299", 10_000, 2_000)
    assert document.applied == (Applied(id="invoice:C5-1417118624", amount_minor=8_000),)
    assert [(leg.account_id, leg.amount_minor) for leg in document.legs] == [("90-1", 10_000)]
    assert document.marker == "txn_1:gross:r1:s1"
    assert document.external_ids == ("ch_3PabcdEfGhIj",)
    assert reading.local_time("2026-07-19T07:21:56-05:00") == "2026-07-19T07:21:56"
