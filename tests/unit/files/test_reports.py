"""Reports of both vendors: what they mean for the books, and what is asked or refused."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from reconcile.records import Charge, Document, Movement, Payout, PayoutItems, Record
from sync.files import quickbooks, stripe
from sync.files.merging import contradiction, merge
from sync.files.report import Parsed, understand
from sync.files.table import FileError, read

HEAD = "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,source_id,automatic_payout_id"
PAID = f"automatic_payout_effective_at_utc,{HEAD}"


def stripe_report(text: str, **more: bool) -> Parsed:
    return stripe.parse(understand(read(text.encode()), stripe.LAYOUTS), None, **more)


def books(text: str, clearing: str | None = None, order: str | None = None) -> Parsed:
    report = understand(read(text.encode()), quickbooks.LAYOUTS)
    return quickbooks.parse(report, "USD", clearing, order)  # type: ignore[arg-type]


def of_kind(parsed: Parsed, kind: str) -> list[Record]:
    return [record for item in [*parsed.items, *parsed.rest] for each, record in item.objects if each == kind]


# ---- Stripe


def test_a_refused_row_says_where_and_the_others_are_taken() -> None:
    parsed = stripe_report(
        f"{HEAD}\n"
        "txn_1,2026-09-14 10:00:00,usd,100.00,3.20,96.80,charge,ch_1,\n"
        "txn_2,2026-09-14 10:00:00,usd,100.00,3.20,97.00,charge,ch_2,\n"
        ",2026-09-14 10:00:00,usd,1.00,0,1.00,charge,ch_3,\n"
        "txn_4,yesterday,usd,1.00,0,1.00,charge,ch_4,\n"
    )
    assert [(each.line, each.column, each.value) for each in parsed.problems] == [
        (3, "net", "97.00"),
        (4, "balance_transaction_id", ""),
        (5, "created_utc", "yesterday"),
    ]
    assert parsed.sums == {"USD": {"gross": 10000, "fee": 320, "net": 9680}}
    assert parsed.rows == 4


def test_a_payout_is_what_its_rows_come_to() -> None:
    parsed = stripe_report(
        f"{PAID}\n"
        "2026-09-16 00:00:00,txn_1,2026-09-14 10:00:00,usd,100.00,3.20,96.80,charge,ch_1,po_1\n"
        "2026-09-16 00:00:00,txn_2,2026-09-15 10:00:00,usd,-20.00,0.00,-20.00,refund,re_1,po_1\n",
        is_reconciliation=True,
    )
    (payout,) = of_kind(parsed, "payout")
    assert isinstance(payout, Payout)
    assert (payout.id, payout.amount_minor, payout.arrives_on) == ("po_1", 7680, date(2026, 9, 16))
    assert sum(each.net_minor for each in of_kind(parsed, "movement") if isinstance(each, Movement)) == 0
    (items,) = of_kind(parsed, "payout_items")
    assert isinstance(items, PayoutItems)
    assert items.movement_ids == ("po_1-payout", "txn_1", "txn_2")


def test_a_payout_with_a_refused_row_is_not_made_up() -> None:
    parsed = stripe_report(
        f"{PAID}\n"
        "2026-09-16 00:00:00,txn_1,2026-09-14 10:00:00,usd,100.00,3.20,96.80,charge,ch_1,po_1\n"
        "2026-09-16 00:00:00,txn_2,2026-09-15 10:00:00,usd,oops,0.00,-20.00,refund,re_1,po_1\n",
        is_reconciliation=True,
    )
    assert not of_kind(parsed, "payout")
    assert "Payout po_1 could not be taken over" in parsed.notes[0]


def test_which_of_two_reports_it_is_is_told_by_its_columns_or_asked() -> None:
    row = "2026-09-16 00:00:00,txn_1,2026-09-14 10:00:00,usd,100.00,3.20,96.80,charge,ch_1,po_1"
    with pytest.raises(FileError, match="Say which it is"):
        stripe_report(f"{PAID}\n{row}\n")
    assert not of_kind(stripe_report(f"{HEAD}\n{row.partition(',')[2]}\n"), "payout")  # its first column is the entry's
    unpaid = row.removesuffix("po_1")
    assert not of_kind(stripe_report(f"{PAID}\n{row}\n{unpaid}\n"), "payout")  # some entries are not paid out


def test_the_zone_of_a_report_is_found_from_its_two_clocks() -> None:
    text = (
        "balance_transaction_id,created_utc,created,currency,gross,net,reporting_category\n"
        "txn_1,2026-07-01 03:00:00,2026-06-30 23:00:00,usd,1.00,1.00,fee\n"
        "txn_2,2026-12-01 03:00:00,2026-11-30 22:00:00,usd,1.00,1.00,fee\n"
    )
    assert stripe_report(text).settings["time_zone"] == "America/New_York"


def test_an_unknown_category_is_kept_as_it_is() -> None:
    parsed = stripe_report(f"{HEAD}\ntxn_1,2026-09-14 10:00:00,usd,5.00,0,5.00,brand_new,xx_1,\n")
    (movement,) = of_kind(parsed, "movement")
    assert isinstance(movement, Movement)
    assert movement.category == "brand_new"


def test_the_dashboards_export_is_read_too() -> None:
    parsed = stripe_report(
        "id,Type,Source,Amount,Fee,Net,Currency,Created (UTC),Description,Customer Facing Amount,"
        "Customer Facing Currency,order (metadata)\n"
        "txn_1,charge,ch_1,108.00,3.50,104.50,usd,2026-09-14 10:00,Shoes,100.00,eur,1042\n"
    )
    (charge,) = of_kind(parsed, "charge")
    assert isinstance(charge, Charge)
    assert (charge.currency, charge.amount_minor, charge.metadata) == ("EUR", 10000, {"order": "1042"})


def test_one_entry_told_in_two_ways_is_a_contradiction() -> None:
    first, second = (
        of_kind(stripe_report(f"{HEAD}\ntxn_1,2026-09-14 10:00:00,usd,{gross},0,{gross},charge,ch_1,\n"), "movement")[0]
        for gross in ("5.00", "6.00")
    )
    assert contradiction(first, first) is None
    assert "one of the two was edited" in (contradiction(first, second) or "")


# ---- QuickBooks

DETAIL = """\
Blue Foods Supplies,,,,,,,,
Transaction Detail by Account,,,,,,,,
"September 1-30, 2026",,,,,,,,
,,,,,,,,
,Date,Transaction Type,Num,Name,Memo/Description,Split,Amount,Balance
1010 Stripe clearing,,,,,,,,
,Beginning Balance,,,,,,,500.00
,09/14/2026,Payment,77,Blue Foods,ch_001Abcdefgh,Accounts Receivable (A/R),100.00,600.00
,09/14/2026,Expense,,Stripe,,Stripe fees,(3.20),596.80
,09/15/2026,Transfer,,,,Checking,-96.80,500.00
,09/15/2026,Tax Payment,,,,Tax,-1.00,499.00
Total for 1010 Stripe clearing,,,,,,,$(1.00),
Accounts Receivable (A/R),,,,,,,,
,09/10/2026,Invoice,1042,Blue Foods,,Sales,100.00,100.00
,09/14/2026,Payment,77,Blue Foods,ch_001Abcdefgh,1010 Stripe clearing,-100.00,0.00
Total for Accounts Receivable (A/R),,,,,,,$0.00,
Sales,,,,,,,,
Total Quality Logistics,,,,,,,,
,09/10/2026,Invoice,1042,Blue Foods,,Accounts Receivable (A/R),100.00,100.00
Total for Total Quality Logistics,,,,,,,$100.00,
Total for Sales,,,,,,,$100.00,
,,,,,,,,
"Accrual Basis Friday, November 20, 2026 04:12 PM GMT-05:00",,,,,,,,
"""


def test_the_clearing_account_is_read_from_a_report_by_account() -> None:
    parsed = books(DETAIL)
    assert parsed.settings == {"clearing": "1010 Stripe clearing", "beginning": 50000}
    assert not parsed.problems
    assert not [note for note in parsed.notes if "total" in note]
    documents = [record for item in parsed.items for record in [item.objects[0][1]] if isinstance(record, Document)]
    clearing = [(each.kind, leg.amount_minor) for each in documents for leg in each.legs]
    assert clearing == [("payment", 10000), ("purchase", -320), ("transfer", -9680), ("journal_entry", -100)]
    payments = [each for each in documents if each.kind == "payment"]
    assert payments[0].id == payments[1].id, "both sides of one payment"
    assert payments[0].external_ids == ("ch_001Abcdefgh",)
    assert parsed.not_needed == {"of other accounts": 1}


def test_a_total_that_does_not_agree_is_said() -> None:
    parsed = books(DETAIL.replace("$(1.00)", "$(5.00)"))
    assert parsed.notes[0] == (
        "The report's total for 1010 Stripe clearing is -5.00 USD; what was read comes to -1.00 USD."
    )


def test_questions_are_asked_before_anything_is_taken() -> None:
    with pytest.raises(FileError, match="Say the name of the clearing account"):
        books(DETAIL.replace("1010 Stripe clearing", "Bank of Anywhere"))
    with pytest.raises(FileError, match="day or with the month"):
        books("Date,Type,Amount\n9/10/2026,Invoice,5.00\n")
    with pytest.raises(FileError, match=r"Open Invoices|none of the reports"):
        books("Employee,Hours\nJane,40\n")
    with pytest.raises(FileError, match="lacks Amount"):
        books("Date,Transaction Type,Name\n2026-09-10,Invoice,Blue Foods\n")


def test_a_list_tells_what_is_open_by_its_column_or_status() -> None:
    text = (
        "Date,Type,No.,Customer,Amount,Status\n"
        "2026-09-10,Invoice,1,A,10.00,Paid\n"
        "2026-09-10,Invoice,2,A,10.00,Overdue 5 days\n"
        "2026-09-10,Invoice,3,A,10.00,Partially paid\n"
    )
    parsed = books(text)
    assert [record.open_minor for record in of_kind(parsed, "invoice") if isinstance(record, Document)] == [0, 1000]
    assert parsed.problems[0].line == 4
    assert "Add the column Open balance" in parsed.problems[0].text


def test_like_documents_of_a_day_are_told_apart_and_a_newer_report_keeps_what_it_does_not_say() -> None:
    text = (
        "Date,Transaction Type,Num,Name,Account,Split,Amount\n" + "2026-09-14,Payment,,A,Stripe clearing,-,5.00\n" * 2
    )
    twins = of_kind(books(text), "payment")
    assert len({each.id for each in twins if isinstance(each, Document)}) == 2
    known = of_kind(books("Date,Type,No.,Customer,Amount,Open balance\n2026-09-10,Invoice,1,A,10.00,4.00\n"), "invoice")
    silent = books("Date,Type,No.,Customer,Amount\n2026-09-10,Invoice,1,A,10.00\n")
    merged = merge(known[0], of_kind(silent, "invoice")[0], silent.unsure)
    assert isinstance(merged, Document)
    assert merged.open_minor == 400


def test_stripes_zone_may_be_stated() -> None:
    text = (
        "balance_transaction_id,created,currency,gross,net,reporting_category\ntxn_1,2026-07-01 00:30:00,usd,1,1,fee\n"
    )
    parsed = stripe.parse(understand(read(text.encode()), stripe.LAYOUTS), ZoneInfo("America/New_York"))
    assert parsed.days == {date(2026, 7, 1)}
    (movement,) = of_kind(parsed, "movement")
    assert isinstance(movement, Movement)
    assert f"{movement.created_at:%H:%M}" == "04:30"
