# ruff: noqa: RUF001 - letters that QuickBooks cannot store
"""qbXML, held to Intuit's own schema: every document that is written, every question that is asked."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from reconcile.postings import Discount, Posting, PostingLine
from reconcile.records import Applied, Document
from reconcile.reversal import how_to_undo, taking_back
from sync.errors import Ambiguous, Rejected, Stale, SyncError, Transient
from sync.ports import Response
from sync.qbd import faults, qbxml, reading, restoring, wire
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


RESTORED = [
    replace(each, target=f"{each.kind}:B7-1", change="restore", original="ch_1:charge:r1:s1")
    for each in POSTINGS
    if each.kind != "ar_refund"
]
SHOWN = {  # a line as QuickBooks shows it, of each kind
    **{kind: f"<{name}Ret><TxnLineID>L#</TxnLineID></{name}Ret>" for kind, name in restoring.LINES.items()},
    "deposit": "<DepositLineRet><TxnLineID>L#</TxnLineID></DepositLineRet>",
    "journal_entry": "<JournalDebitLine><TxnLineID>L#</TxnLineID></JournalDebitLine>",
}


@pytest.mark.specs
@pytest.mark.parametrize("present", [0, 3])
@pytest.mark.parametrize("posting", RESTORED, ids=lambda posting: posting.kind)
def test_what_restores_a_document_fits_the_schema(schema: etree.XMLSchema, posting: Posting, present: int) -> None:
    """Lines that are there are taken, one after the other; what is beyond them is new; what is left over goes."""
    lines = (
        "".join(SHOWN.get(posting.kind, "").replace("#", str(number)) for number in range(present)) + "<ItemLineRet/>"
    )
    ret = f"{wire.ENTITY[posting.kind]}Ret"
    target = etree.fromstring(f"<{ret}><TxnID>B7-1</TxnID><EditSequence>17</EditSequence>{lines}</{ret}>")
    around = wire.Surroundings(target=target, currency_id="8000001A-1", open_minor={"invoice:C5-1417118624": 100})
    body = wire.write_body(posting, SET_ID, around)
    schema.assertValid(etree.fromstring(body.encode()))
    assert "<TxnID>B7-1</TxnID><EditSequence>17</EditSequence>" in body
    assert "ExternalGUID" not in body
    if posting.kind != "journal_entry":
        assert "[tieout ch_1:charge:r1:s1]" in body
    named = [each.text for each in etree.fromstring(body.encode()).iter("TxnLineID")]
    assert len(named) == len(posting.lines) + bool(posting.discount_minor) + len(posting.applied) * (
        posting.kind == "deposit"
    )
    kept = [each for each in named if each != "-1"]
    assert kept == [f"L{number}" for number in range(len(kept))]
    assert bool(kept) == (present > 0 and posting.kind in SHOWN and bool(posting.lines))
    assert ("ClearItemLines" in body) == (posting.kind == "purchase")
    if posting.kind == "payment" and posting.applied:
        assert "<TxnID>C5-1417118624</TxnID><PaymentAmount>1.00</PaymentAmount>" in body, "as much as is open"


@pytest.mark.specs
@pytest.mark.parametrize(("open_minor", "is_whole"), [(21_000, True), (20_000, False)])
def test_a_payment_restored_in_full_closes_again_what_it_closed(
    schema: etree.XMLSchema, open_minor: int, is_whole: bool
) -> None:
    closed = Discount(document_id="invoice:C5-1417118624", amount_minor=400, account_id="80000014-1416570432")
    posting = Posting(kind="payment", applied=ON_INVOICE, discounts=(closed,), target="payment:B7-1", **COMMON)
    target = etree.fromstring(
        "<ReceivePaymentRet><TxnID>B7-1</TxnID><EditSequence>1</EditSequence></ReceivePaymentRet>"
    )
    around = wire.Surroundings(target=target, open_minor={"invoice:C5-1417118624": open_minor})
    body = wire.write_body(replace(posting, change="restore"), SET_ID, around)
    schema.assertValid(etree.fromstring(body.encode()))
    assert ("<DiscountAmount>4.00</DiscountAmount>" in body) == is_whole


@given(
    total=st.integers(0, 500),
    present=st.dictionaries(st.sampled_from("ABCD"), st.integers(1, 300), max_size=4),
    posted=st.dictionaries(st.sampled_from("ABE"), st.integers(1, 300), max_size=3),
    room=st.dictionaries(st.sampled_from("ABE"), st.integers(0, 300)),
)
def test_a_restored_payment_stays_where_it_is_and_the_rest_goes_where_it_was_meant_to(
    total: int, present: dict[str, int], posted: dict[str, int], room: dict[str, int]
) -> None:
    applied = tuple(Applied(id=f"invoice:{each}", amount_minor=minor) for each, minor in posted.items())
    posting = Posting(kind="payment", change="restore", applied=applied, **COMMON | {"amount_minor": total})
    shown = "".join(
        f"<AppliedToTxnRet><TxnID>{each}</TxnID><Amount>{minor / 100:.2f}</Amount></AppliedToTxnRet>"
        for each, minor in present.items()
    )
    target = etree.fromstring(f"<ReceivePaymentRet><TxnID>1</TxnID>{shown}</ReceivePaymentRet>")
    nodes = restoring.mod(posting, [], target, {f"invoice:{each}": minor for each, minor in room.items()})
    said = {content[0][1]: round(float(content[1][1]) * 100) for name, content in nodes if name == "AppliedToTxnMod"}
    after = said or present
    assert set(said) in (set(), set(present) | set(said)), "all of them, or none"
    assert sum(after.values()) <= total or after == present
    if sum(present.values()) <= total:
        assert all(after.get(each, 0) >= minor for each, minor in present.items()), "nothing is taken off"
    for each in after:
        assert after[each] <= max(
            present.get(each, 0), min(posted.get(each, 0), present.get(each, 0) + room.get(each, 0))
        )
    if left := total - sum(after.values()):
        assert left < 0 or all(
            after.get(each, 0) >= min(minor, present.get(each, 0) + room.get(each, 0)) for each, minor in posted.items()
        ), "what is left could go nowhere"


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
        Posting(kind="purchase", target="purchase:A1-1", change="restore", **COMMON),  # it is gone
        Posting(kind="ar_refund", target="ar_refund:A1-1", change="restore", **COMMON),
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
