"""What a person matches by hand goes into the books as they said, once, and an undo takes all of it back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconcile.choices import Short
from reconcile.dividing import Payable
from reconcile.postings import ROLES
from storage import matchable, review, search, undoing
from storage.engine import Database
from storage.review import Detail
from sync import mapping, pairing
from sync.commands import NotAllowedError, RefusedError
from sync.holding import HeldError
from sync.undoing import undo_posted
from tests.integration.conftest import Company, link
from tests.integration.desktop import Desktop, open_desktop
from tests.integration.test_approvals import approve, limit, only, second
from tests.integration.test_decisions import act, check_laws, person, waits
from tests.integration.test_desktop_rows import check as check_desktop
from tests.integration.test_rows import balance, euro_customer, sync_and_check
from tests.integration.test_undo import ask, close_books, look, odd, reasons

RECEIVABLE, RECEIVABLE_EUR = "Accounts Receivable (A/R)", "Accounts Receivable (A/R) - EUR"
WRITE_OFFS, OUTSIDE_FEES = ROLES["write_offs"], ROLES["outside_fees"]


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    return sqlite_database


def with_accounts(company: Company) -> None:
    made = {
        f"accounts:{role}": company.qbo.create("Account", {"Name": ROLES[role], "AccountType": "Expense"})["Id"]
        for role in ("write_offs", "outside_fees")
    }
    company.sync()
    actor = person(company)
    mapping.read_chart(company.environment, actor, link(company).id)
    assert mapping.choose(company.environment, actor, link(company).id, made)


def short_payment(company: Company, paid: int = 9_700) -> Detail:
    """A payment of 97.00 that names nothing, and invoices of 60.00 and 40.00 that wait for it."""
    stripe_customer, customer = company.customer()
    company.invoice(customer, 6_000, "INV-1")
    company.invoice(customer, 4_000, "INV-2")
    company.pay(stripe_customer, paid, "our order")
    company.pass_time(minutes=1)
    company.sync()
    return waits(company)


def chosen(company: Company, detail: Detail) -> list[Payable]:
    found = matchable.choice(company.environment.database, link(company).id, detail, "Blue")
    return [matchable.payable(each) for each in found.invoices]


def match_short(company: Company, detail: Detail, short: Short, role: str = "accountant") -> tuple[int, ...]:
    args = (link(company).id, {detail.item.source_id: detail.version}, chosen(company, detail), short)
    return act(company, pairing.match_short, *args, role=role)


def open_on(company: Company) -> list[float]:
    return sorted(body["Balance"] for body in company.books("Invoice"))


def test_two_invoices_are_closed_by_a_payment_and_what_somebody_kept_and_all_is_undone(company: Company) -> None:
    detail = short_payment(company)
    with pytest.raises(RefusedError, match="No account is chosen for “Bank fees kept by others”"):
        match_short(company, detail, "fee")
    with_accounts(company)
    detail = waits(company)
    with pytest.raises(NotAllowedError, match="role accountant"):
        match_short(company, detail, "fee", role="reviewer")
    match_short(company, detail, "fee")
    sync_and_check(company)
    assert open_on(company) == [0, 0]
    assert balance(company, RECEIVABLE) == 0
    assert balance(company, OUTSIDE_FEES) == 300
    (entry,) = company.ours("JournalEntry")
    assert detail.item.source_id in entry["PrivateNote"]
    assert sorted(body["TotalAmt"] for body in company.ours("Payment")) == [0, 97]
    documents = {entity: len(company.ours(entity)) for entity in ("Payment", "JournalEntry", "Purchase")}
    sync_and_check(company)
    assert documents == {entity: len(company.ours(entity)) for entity in documents} == {
        "Payment": 2, "JournalEntry": 1, "Purchase": 1,
    }  # fmt: skip
    assert search.page(company.environment.database, link(company).id).total == 0

    seen = look(company, "JournalEntry")
    assert seen[1].obstacles == ()
    assert [step.how for step in seen[1].steps] == ["delete", "delete", "void"]
    ask(company, seen)
    sync_and_check(company)
    assert open_on(company) == [40, 60]
    assert balance(company, RECEIVABLE) == 10_000
    assert balance(company, OUTSIDE_FEES) == 0
    assert company.ours("JournalEntry") == []

    match_short(company, waits(company, "undone"), "write_off")
    sync_and_check(company)
    assert open_on(company) == [0, 0]
    assert (balance(company, OUTSIDE_FEES), balance(company, WRITE_OFFS)) == (0, 300)
    assert ":r2:" in company.ours("JournalEntry")[0]["PrivateNote"]


def test_in_a_closed_period_opposite_entries_take_a_payment_and_what_was_written_off_back(company: Company) -> None:
    detail = short_payment(company)
    with_accounts(company)
    match_short(company, waits(company), "write_off")
    company.sync()
    (written_off,) = company.ours("JournalEntry")
    close_books(company, written_off["TxnDate"])
    company.pass_time(days=3)
    company.sync()
    before = {entity: company.ours(entity) for entity in ("Payment", "JournalEntry")}

    seen = look(company, "JournalEntry")
    assert seen[1].obstacles == ()
    assert [step.how for step in seen[1].steps] == ["stay", "entry", "entry"]
    assert "Invoice INV-1 stays paid; by the opposite entry its customer owes 3.00 USD again." in seen[1].effects
    ask(company, seen)
    sync_and_check(company)
    assert [body for body in company.ours("Payment") if body not in before["Payment"]] == []
    entries = [body for body in company.ours("JournalEntry") if body not in before["JournalEntry"]]
    assert sorted(body["TotalAmt"] for body in entries) == [3, 97]
    assert all(body["TxnDate"] > written_off["TxnDate"] for body in entries)
    assert open_on(company) == [0, 0]
    assert (balance(company, RECEIVABLE), balance(company, WRITE_OFFS)) == (10_000, 0)
    assert reasons(company) == ["undone"]
    assert odd(company) == []

    count = len(company.ours("JournalEntry"))
    sync_and_check(company)
    assert len(company.ours("JournalEntry")) == count
    assert waits(company, "undone").item.source_id == detail.item.source_id


def test_what_is_missing_is_limited_seen_as_it_is_and_stays_open_unless_it_is_explained(company: Company) -> None:
    detail = short_payment(company)
    with_accounts(company)
    detail, actor = waits(company), person(company)
    assert mapping.change_limit(company.environment, actor, link(company).id, "short_limits", "USD", "2.99")
    with pytest.raises(RefusedError, match=r"3.00 USD is missing, more than the limit of 2.99 USD"):
        match_short(company, detail, "write_off")
    company.sync()
    detail = waits(company)
    seen = chosen(company, detail)
    args = (link(company).id, {detail.item.source_id: detail.version}, seen)
    company.qbo.update("Invoice", company.books("Invoice")[0] | {"DueDate": "2030-01-01"})
    stale = [Payable(id=each.id, amount_minor=each.amount_minor + 1, customer_id=each.customer_id) for each in seen]
    with pytest.raises(RefusedError, match="changed since you looked"):
        act(company, pairing.match_documents, args[0], args[1], stale)
    act(company, pairing.match_documents, *args, role="reviewer")
    with pytest.raises(RefusedError, match="changed since you looked"):
        act(company, pairing.match_documents, *args)  # somebody was quicker
    sync_and_check(company)
    assert open_on(company) == [0, 3]
    assert len(company.ours("Payment")) == 1


def test_an_invoice_that_changed_after_the_decision_is_not_closed(company: Company) -> None:
    short_payment(company)
    with_accounts(company)
    match_short(company, waits(company), "write_off")
    raised = next(body for body in company.books("Invoice") if body["DocNumber"] == "INV-1")
    company.qbo.update("Invoice", raised | {"Line": [raised["Line"][0] | {"Amount": 70}]})
    company.sync()
    detail = waits(company, "STALE_DECISION")
    assert "70.00 USD is open now, not 60.00 USD" in detail.item.detail
    assert company.ours("Payment") == company.ours("JournalEntry") == []
    check_laws(company)


def test_two_payments_close_one_invoice_together_once_two_people_say_so(company: Company) -> None:
    stripe_customer, customer = company.customer()
    company.invoice(customer, 10_000, "INV-1")
    for amount in (6_000, 3_800):
        company.pay(stripe_customer, amount, "part of it")
    company.pass_time(minutes=1)
    company.sync()
    with_accounts(company)
    database, link_id = company.environment.database, link(company).id
    first = search.page(database, link_id).items[0]
    detail = review.detail(database, link_id, first.source_id)
    assert detail is not None
    found = matchable.choice(database, link_id, detail, "INV-1")
    (beside,) = found.payments
    versions = {detail.item.source_id: detail.version, beside.charge.id: beside.version}
    seen = [matchable.payable(each) for each in found.invoices]
    limit(company, "97.99")
    with pytest.raises(HeldError, match=r"98.00 USD is more"):
        act(company, pairing.match_short, link_id, versions, seen, "write_off")
    assert "2.00 USD of it as Small write-offs" in only(company).ask.text
    assert approve(company, second(company), only(company).id)
    sync_and_check(company)
    assert open_on(company) == [0]
    assert (balance(company, RECEIVABLE), balance(company, WRITE_OFFS)) == (0, 200)
    assert sorted(body["TotalAmt"] for body in company.ours("Payment")) == [0, 38, 60]


def test_in_euro_the_entry_has_the_rate_of_its_invoice(company: Company) -> None:
    stripe_customer, customer = euro_customer(company)
    company.invoice(customer, 10_000, "INV-1")
    company.pay(stripe_customer, 9_700, "our order", currency="eur")
    company.pass_time(minutes=1)
    company.sync()
    with_accounts(company)
    detail = waits(company)
    found = matchable.choice(company.environment.database, link(company).id, detail, "100.00")
    seen = [matchable.payable(each) for each in found.invoices]
    act(company, pairing.match_short, link(company).id, {detail.item.source_id: detail.version}, seen, "write_off")
    sync_and_check(company)
    assert open_on(company) == [0]
    assert balance(company, RECEIVABLE_EUR) == 0
    (entry,) = company.ours("JournalEntry")
    assert (entry["CurrencyRef"]["value"], entry["ExchangeRate"]) == (
        "EUR",
        company.books("Invoice")[0]["ExchangeRate"],
    )
    sync_and_check(company)
    assert len(company.ours("JournalEntry")) == 1


# ---- QuickBooks Desktop


@pytest.fixture
def desktop(sqlite_database: Database, tmp_path: Path) -> Iterator[Desktop]:
    with open_desktop(sqlite_database, tmp_path) as opened:
        yield opened


def test_in_desktop_the_payment_itself_closes_the_invoice(desktop: Desktop) -> None:
    desktop.file.add("Account", {"Name": WRITE_OFFS, "AccountType": "Expense"})
    stripe_customer, customer = desktop.customer()
    invoice = desktop.invoice(customer, 10_000, "INV-1")
    desktop.pay(stripe_customer, 9_700, "Invoice INV-1")
    desktop.pass_time(minutes=1)
    desktop.settle(1)
    (link_,) = desktop._links()
    actor, environment = desktop.person(), desktop.environment
    account = desktop.file.named("Account", WRITE_OFFS)["ListID"]  # type: ignore[index]
    assert mapping.choose(environment, actor, link_.id, {"accounts:write_offs": account})
    desktop.settle(1)
    detail = only_item(desktop)
    found = matchable.choice(environment.database, link_.id, detail, "INV-1")
    seen = [matchable.payable(each) for each in found.invoices]
    versions = {detail.item.source_id: detail.version}
    pairing.match_short(environment.database, environment.clock, actor, link_.id, versions, seen, "write_off")
    desktop.settle(1)
    (payment,) = desktop.ours("ReceivePayment")
    assert desktop.now("Invoice", invoice)["BalanceRemaining"] == "0.00"
    assert (desktop.balance("Accounts Receivable"), desktop.balance(WRITE_OFFS)) == (0, 300)
    check_desktop(desktop)
    desktop.settle(1)
    assert len(desktop.ours("ReceivePayment")) == 1

    undo_desktop(desktop, payment["TxnID"])
    assert desktop.now("Invoice", invoice)["BalanceRemaining"] == "100.00"
    assert (desktop.balance("Accounts Receivable"), desktop.balance(WRITE_OFFS)) == (10_000, 0)
    check_desktop(desktop)


def undo_desktop(company: Desktop, txn_id: str) -> None:
    (link_,), environment = company._links(), company.environment
    with environment.database.read() as conn:
        seen = undoing.preview(conn, link_, f"payment:{txn_id}")
    assert seen is not None
    assert seen.obstacles == ()
    undo_posted(
        environment.database, environment.clock, company.person(), link_.id, f"payment:{txn_id}", seen.version, "Wrong",
        is_reconciled=False,
    )  # fmt: skip
    company.settle(1)


def only_item(company: Desktop) -> Detail:
    (link_,), database = company._links(), company.environment.database
    (item,) = search.page(database, link_.id).items
    detail = review.detail(database, link_.id, item.source_id)
    assert detail is not None
    return detail
