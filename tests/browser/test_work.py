"""People at their work, on one company whose books and Stripe account are the stand-ins'.

Each test ends at what is stored, or in the emulated books. The app runs beside this process; what a worker would do is
done here.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from reconcile import closing as closing_days
from reconcile.days import book_day
from storage import closes, queries, review, search, users
from storage.search import Filter
from sync import closing, people
from sync.clock import SystemClock
from tests import laws
from tests.browser.conftest import running, watched
from tests.browser.test_app import open_page
from tests.conftest import migrate_at, opened
from tests.integration.conftest import START, Company, founded, link
from tests.integration.test_findings import change
from tests.integration.test_problems import paid_invoice, run_queued, switch

pytestmark = pytest.mark.browser
PASSWORD = "a few good words"
SignIn = Callable[..., None]
numbers = count(1)


@dataclass(frozen=True)
class Shop:
    """A connected company, and where its pages are."""

    company: Company
    address: str

    def invite(self, role: str) -> str:
        """Somebody in a role; the token of a sign-in link for them."""
        token = f"{role}-{next(numbers)}"
        with self.company.environment.database.write() as conn:
            user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role.capitalize(), role=role)
            users.create_sign_in_link(conn, user_id, token, SystemClock().now())
        return token


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    url = f"sqlite:///{folder / 'tieout.db'}"
    migrate_at(url)
    with opened(url) as database, founded(database, folder) as company, running(folder) as address:
        yield Shop(company, address)


def test_a_failed_posting_is_mended_and_replayed(shop: Shop, page: Page, sign_in: SignIn) -> None:
    """The account of the fees was switched off in QuickBooks; another one is chosen; nothing is there twice."""
    company = shop.company
    before = [body["Id"] for body in company.ours("Purchase")]
    charge_id, _ = paid_invoice(company)
    switch(company, "Account", link(company).mappings.fees["stripe_fee"], active=False)
    company.qbo.create("Account", {"Name": "Card fees", "AccountType": "Expense"})
    company.sync()
    assert [body["Id"] for body in company.ours("Purchase")] == before
    payments = len(company.ours("Payment"))

    sign_in(page, shop.address, shop.invite("accountant"))
    page.goto(f"{shop.address}/problems?cause=mapping:fees:stripe_fee")
    cause = page.locator(".st-key-cause-mapping-fees-stripe_fee")
    expect(cause.get_by_text("“Stripe fees” was made inactive in QuickBooks.")).to_be_visible()
    expect(cause.get_by_text("1 entry · (3.20) USD")).to_be_visible()
    cause.get_by_role("link", name="Choose another one").click()
    expect(page.get_by_text("What waits needs this")).to_be_visible()
    page.locator(".st-key-wanted").get_by_role("combobox").click()
    page.get_by_role("option", name="Card fees").click()
    expect(page.get_by_text("Saved.").first).to_be_visible()
    run_queued(company)
    (purchase,) = [body for body in company.ours("Purchase") if body["Id"] not in before]
    assert purchase["TotalAmt"] == 3.2
    assert len(company.ours("Payment")) == payments, "what was posted is not posted again"
    laws.check(company.environment, company.stripe, company.qbo)

    page.goto(f"{shop.address}/audit?record={charge_id}")
    name = f"purchase:{purchase['Id']}"
    way = re.compile(rf"(posted|verified) as {name} after 1 attempt")
    expect(page.get_by_role("cell", name=way).last).to_be_visible()


def test_twenty_payments_are_reviewed_by_keyboard_alone(shop: Shop, page: Page, sign_in: SignIn) -> None:
    """Accepted, taken back, kept apart, asked about; the rest accepted at once."""
    company, database, where = shop.company, shop.company.environment.database, link(shop.company).id
    propose(company, {f"Keen {number}": 20_000 + number * 1_000 for number in range(20)})
    items = [item.source_id for item in search.page(database, where, Filter(show="proposed", text="Keen")).items]
    assert len(items) == 20
    sign_in(page, shop.address, shop.invite("reviewer"))
    page.goto(f"{shop.address}/review?show=proposed&q=Keen&item={items[1]}")

    def press(key: str, shown: int) -> None:
        """Presses a key once the page is drawn to its end, and waits until an item is shown."""
        drawn(page)
        page.keyboard.press(key)
        expect(page.get_by_text(items[shown], exact=True)).to_be_visible()

    expect(page.get_by_text(items[1], exact=True)).to_be_visible()
    for _ in range(20):  # keys are heard some moments after the page is drawn; on the first item this one does nothing
        page.keyboard.press("k")
        page.wait_for_timeout(500)
        if page.get_by_text(items[0], exact=True).is_visible():
            break
    press("j", 1)
    press("k", 0)
    press("a", 1)
    press("a", 2)
    page.keyboard.press("u")
    expect(page.get_by_text("Taken back")).to_be_visible()
    press("x", 3)
    page.keyboard.press("n")
    expect(page.get_by_role("dialog")).to_be_visible()
    reach(page, "TEXTAREA")
    page.keyboard.type("is this one theirs?")
    reach(page, "BUTTON", "Keep it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("is this one theirs?")).to_be_visible()
    press("j", 4)
    for shown in range(5, 20):
        press("a", shown)
    said = [[each.decision.kind for each in review.standing(database, where, item)] for item in items]
    assert said == [["match"], [], ["not_match"], [], *[["match"]] * 15, []]

    before = len(company.ours("Payment"))
    company.sync()
    assert len(company.ours("Payment")) == before + 16
    left = {item.source_id for item in search.page(database, where, Filter(text="Keen")).items}
    assert left == {items[1], items[2], items[3], items[19]}
    page.goto(f"{shop.address}/review?show=proposed&q=Keen")
    button = page.get_by_role("button", name=re.compile("^Accept all 3 at 99.9 % or more"))
    button.click()
    page.get_by_role("dialog").get_by_role("button", name="Accept 3").click()
    expect(page.get_by_text("Accepted 3.")).to_be_visible()
    company.sync()
    assert len(company.ours("Payment")) == before + 19
    laws.check(company.environment, company.stripe, company.qbo)


def propose(company: Company, amounts: dict[str, int]) -> None:
    """Of each customer an invoice, paid without naming it: matches that are proposed, and wait for a person."""
    for name, amount in amounts.items():
        there, here = company.customer(name, f"{name.replace(' ', '')}@keys.example")
        company.invoice(here, amount, f"NO-{amount}")
        company.pay(there, amount, "Thank you")
    company.pass_time(minutes=1)
    company.sync()


def test_two_people_accept_the_same_payment_at_once(
    shop: Shop, page: Page, sign_in: SignIn, new_browser: Callable[[str], BrowserContext]
) -> None:
    """One wins, the other is told; the books have one payment."""
    company, database, where = shop.company, shop.company.environment.database, link(shop.company).id
    propose(company, {"Both Ltd": 91_000})
    (item,) = search.page(database, where, Filter(show="proposed", text="Both Ltd")).items
    before = len(company.ours("Payment"))
    with watched(new_browser("other")) as other:
        for each, role in ((page, "reviewer"), (other, "accountant")):
            sign_in(each, shop.address, shop.invite(role))
            each.goto(f"{shop.address}/review?show=proposed&q=Both&item={item.source_id}")
            expect(each.get_by_role("button", name=re.compile("^Accept Shortcut"))).to_be_enabled()
        for each in (page, other):
            each.get_by_role("button", name=re.compile("^Accept Shortcut")).click()
        said = [each.get_by_test_id("stToast").inner_text() for each in (page, other)]
    assert sorted("Accepted: Invoice" in text for text in said) == [False, True], said
    assert sorted("This has changed since you looked at it." in text for text in said) == [False, True], said
    (decided,) = review.standing(database, where, item.source_id)
    winner = "reviewer" if "Accepted" in said[0] else "accountant"
    assert decided.decision.actor == f"{winner}@example.com"
    company.sync()
    assert len(company.ours("Payment")) == before + 1
    laws.check(company.environment, company.stripe, company.qbo)


def drawn(page: Page) -> None:
    """Waits until the page is drawn to its end."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")


def reach(page: Page, tag: str, text: str = "") -> None:
    """Goes there by the Tab key."""
    for _ in range(12):
        at = page.evaluate("[document.activeElement.tagName, document.activeElement.innerText]")
        if at[0] == tag and text in at[1]:
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{tag} {text} is not reached by the Tab key")


def test_a_month_is_closed_and_a_change_afterwards_is_drift(shop: Shop, page: Page, sign_in: SignIn) -> None:
    """One prepares, another signs; then somebody re-dates a fee in QuickBooks."""
    company = shop.company
    paid_invoice(company, "Red Foods", "INV-9")
    company.pass_time(days=4)
    company.sync()
    last = START.date() + timedelta(days=3)
    sign_in(page, shop.address, shop.invite("accountant"))
    page.goto(f"{shop.address}/close?through={last}")
    expect(page.get_by_text(f"Everything is synced through {last}.")).to_be_visible()
    page.get_by_label("Note for whoever signs it off").fill("the payout arrives tomorrow")
    page.get_by_role("button", name="Prepare").click()
    expect(page.get_by_text("Prepared. Somebody else signs it off.")).to_be_visible()
    close = only_close(company)
    assert (close.state, close.prepared_by) == ("prepared", "accountant@example.com")
    page.goto(f"{shop.address}/close?close={close.id}")
    expect(page.get_by_role("button", name="Sign off")).to_be_disabled()

    sign_in(page, shop.address, shop.invite("manager"))
    page.goto(f"{shop.address}/close?close={close.id}")
    page.get_by_role("button", name="Sign off").click()
    expect(page.get_by_text("Signed off. Later changes")).to_be_visible()
    fee = company.ours("Purchase")[-1]
    change(company, "Purchase", fee, TxnDate=(last + timedelta(days=1)).isoformat())
    company.sync()
    page.goto(f"{shop.address}/close?close={close.id}")
    expect(page.get_by_text("1 figure of this period changed after it was signed off.")).to_be_visible()
    expect(page.get_by_role("cell", name=f"Purchase {fee['Id']}")).to_be_visible()

    signed = only_close(company)
    assert (signed.state, signed.signed_by, signed.digest) == ("signed", "manager@example.com", close.digest)
    assert closes.is_whole(signed)
    (drift,) = closing.drifts(company.environment, link(company).id, [signed])[signed.id]
    assert (drift.name, drift.now_minor) == (f"purchase:{fee['Id']}", None)
    laws.check(company.environment, company.stripe, company.qbo)

    page.get_by_role("button", name="Open again").click()
    page.get_by_label("Why").fill("a fee went into the next month")
    page.get_by_role("button", name="Open the period again").click()
    expect(page.get_by_text("It is open again.")).to_be_visible()
    expect(page.get_by_text("1 figure of this period changed")).to_have_count(0)
    opened_again = only_close(company)
    assert (opened_again.state, opened_again.reopened_by) == ("reopened", "manager@example.com")
    assert company.qbo.read("Purchase", fee["Id"])["TxnDate"] == (last + timedelta(days=1)).isoformat()


def only_close(company: Company) -> closes.Close:
    where = link(company).id
    (head,) = closes.heads(company.environment.database, where)
    found = closing.one(company.environment, where, head.id)
    assert found is not None
    return found


def test_an_accountant_syncs_some_days_again(shop: Shop, page: Page, sign_in: SignIn) -> None:
    """Two payments were refused, on two days; those of one day are read and tried again, and nothing else."""
    company, database, where = shop.company, shop.company.environment.database, link(shop.company).id
    days, customers = [], []
    for number in (1, 2):
        company.pass_time(days=1)
        days.append(book_day(company.clock.now(), link(company).time_zone))
        charge_id, customer = paid_invoice(company, f"Late {number} Ltd", f"LATE-{number}")
        customers.append((charge_id, customer))
        switch(company, "Customer", customer, active=False)
    company.sync()
    for _, customer in customers:
        switch(company, "Customer", customer, active=True)
    documents = laws.marked(company.qbo)
    invoice = next(body for body in company.books("Invoice") if body["DocNumber"] == "LATE-1")
    stored = company.qbo.store.get("Invoice", invoice["Id"])
    assert stored is not None
    company.qbo.store.put("Invoice", invoice["Id"], stored | {"PrivateNote": "by hand"}, created=0)  # nobody was told

    sign_in(page, shop.address, shop.invite("accountant"))
    open_page(page, "Syncs")
    page.get_by_text("Sync some days, or one record, again").click()
    for label in ("From", "Through"):
        box = page.get_by_role("group", name=label).get_by_role("spinbutton")
        for part, text in enumerate(days[0].isoformat().split("-")):
            box.nth(part).press_sequentially(text)
        box.last.press("Enter")
    drawn(page)
    page.get_by_role("button", name="Show what these days would change").click()
    expect(page.get_by_text("Looking at what would change")).to_be_visible()
    run_queued(company)
    expect(page.get_by_text("1 refused posting would be tried again.")).to_be_visible()
    expect(page.get_by_text("1 changed.")).to_be_visible()
    assert laws.marked(company.qbo) == documents, "a look changes nothing"
    page.get_by_role("button", name="Do it").click()
    expect(page.get_by_text("It is synced again in a moment.")).to_be_visible()
    run_queued(company)
    expect(page.get_by_text(re.compile("synced again: 1 object had changed"))).to_be_visible()
    (made,) = [each for each in laws.marked(company.qbo) if each not in documents]
    payment = company.qbo.read("Payment", made[0].partition(":")[2])
    assert payment["CustomerRef"]["value"] == customers[0][1]
    (waiting,) = search.page(database, where, Filter(show="problems", text="Late")).items
    assert waiting.source_id == customers[1][0]
    laws.check(company.environment, company.stripe, company.qbo)


def click_bar(page: Page, *, chart: int, bar: int) -> None:
    bars = page.locator(".js-plotly-plot").nth(chart).locator(".bars .point path")
    expect(bars.nth(bar)).to_be_visible()
    box = bars.nth(bar).bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_a_manager_reaches_a_stripe_id_from_a_chart(shop: Shop, page: Page, sign_in: SignIn) -> None:
    """Overview, a bar, the payment behind it, its whole way; and Stripe has what is shown."""
    company, database, where = shop.company, shop.company.environment.database, link(shop.company).id
    there, _ = company.customer("Chart Ltd", "chart@keys.example")
    company.pay(there, 7_700, "nobody knows")
    company.pass_time(minutes=1)
    company.sync()
    shown = queries.links(database)[0]
    spans = {name: (first, last) for name, first, last in closing_days.spans(shown.today(SystemClock().now()))}
    found = {name: search.page(database, where, Filter(since=ends[0], until=ends[1])) for name, ends in spans.items()}
    (at, (age, most)) = max(enumerate(found.items()), key=lambda each: each[1][1].total)
    item = most.items[0]

    sign_in(page, shop.address, shop.invite("manager"))
    click_bar(page, chart=1, bar=0)
    listed = re.compile(r"^(Posted|Matched|Pending|Waiting), \d+ \w+ \d+ · \d+")
    expect(page.locator(".t-head", has_text=listed)).to_be_visible()
    click_bar(page, chart=2, bar=at)
    expect(page.get_by_text(item.source_id, exact=True)).to_be_visible()
    assert f"age={age}" in page.url
    expect(page.get_by_text(re.compile(f" of {most.total} ·"))).to_be_visible()
    page.get_by_role("link", name="Its whole way").click()
    expect(page.locator("h1", has_text="Audit")).to_be_visible()
    expect(page.get_by_text(item.source_id).first).to_be_visible()
    charge = company.stripe.request("GET", f"/v1/charges/{item.source_id}")
    expect(page.get_by_text(re.compile(f"{charge['amount'] / 100:,.2f} USD")).first).to_be_visible()
    assert f"record={item.source_id}" in page.url
    laws.check(company.environment, company.stripe, company.qbo)


def test_a_viewer_looks_and_exports_and_is_told_what_takes_another_role(
    shop: Shop, page: Page, sign_in: SignIn
) -> None:
    """Also somebody who became one while a page was open, whose buttons are still those of before."""
    company, database, where = shop.company, shop.company.environment.database, link(shop.company).id
    propose(company, {"Seen Ltd": 33_000})
    documents = laws.marked(company.qbo)
    shop.invite("admin")
    sign_in(page, shop.address, shop.invite("viewer"))
    expect(page.get_by_text("You are a viewer")).to_be_visible()
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    open_page(page, "Syncs")
    expect(page.get_by_role("button", name="Run now")).to_be_disabled()
    open_page(page, "Close")
    with page.expect_download() as download:
        page.get_by_role("button", name="Excel workbook").click()
    assert download.value.suggested_filename.endswith(".xlsx")
    page.goto(f"{shop.address}/review?show=proposed&q=Seen")
    accept = page.get_by_role("button", name=re.compile("^Accept Shortcut"))
    expect(accept).to_be_disabled()
    page.goto(f"{shop.address}/users")
    expect(page.get_by_text("Users and their roles are changed by an admin.")).to_be_visible()

    sign_in(page, shop.address, shop.invite("reviewer"))
    page.goto(f"{shop.address}/review?show=proposed&q=Seen")
    expect(accept).to_be_enabled()
    give(shop, "reviewer@example.com", "viewer")
    accept.click()
    expect(page.get_by_text("This takes the role reviewer or higher.")).to_be_visible()
    give(shop, "reviewer@example.com", "reviewer")
    (item,) = search.page(database, where, Filter(show="proposed", text="Seen")).items
    assert not review.standing(database, where, item.source_id)
    assert laws.marked(company.qbo) == documents
    laws.check(company.environment, company.stripe, company.qbo)


def give(shop: Shop, email: str, role: str) -> None:
    """An admin changes somebody's role."""
    environment = shop.company.environment
    with environment.database.read() as conn:
        person, admin = users.find(conn, email=email), users.find(conn, email="admin@example.com")
    assert person is not None
    assert admin is not None
    people.change_role(environment, admin, person.id, role)


def test_somebody_is_let_in_sets_a_password_and_comes_back_with_it(
    shop: Shop, page: Page, sign_in: SignIn, forgiven: list[str]
) -> None:
    forgiven.append("401 (Unauthorized)")  # the browser says so of a page that asks for the sign-in
    database = shop.company.environment.database
    sign_in(page, shop.address, shop.invite("admin"))
    invitation = invite(page, "rita@example.com")
    sign_out(page)

    page.goto(invitation)
    expect(page.get_by_text("rita@example.com")).to_be_visible()
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    open_page(page, "Your account")
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_text("The password is set.")).to_be_visible()
    sign_out(page)

    page.goto(f"{shop.address}/account")
    assert "Your account" not in page.content(), "nothing is shown before the sign-in"
    enter(page, "Rita@example.com", "wrong")
    expect(page.get_by_text("do not fit together")).to_be_visible()
    enter(page, "rita@example.com", PASSWORD)
    expect(page.locator("h1", has_text="Your account")).to_be_visible()
    assert signed_in(database) == 1

    with database.read() as conn:
        rita, admin = (users.find(conn, email=f"{name}@example.com") for name in ("rita", "admin"))
    assert rita is not None
    assert admin is not None
    people.let_go(shop.company.environment, admin, rita.id)  # while the page is open
    page.get_by_role("link", name="Syncs").click()
    page.wait_for_url("**/sign-in")
    assert signed_in(database) == 0
    assert PASSWORD not in str(users.everybody(database, SystemClock().now()))


def invite(page: Page, email: str) -> str:
    """Adds a viewer, the role offered first, and gives the link to hand over."""
    open_page(page, "Users")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Name", exact=True).fill("Rita")
    page.get_by_role("button", name="Add", exact=True).click()
    shown = page.locator("code", has_text="/sign-in?token=")
    expect(shown).to_be_visible()
    return shown.inner_text().strip()


def sign_out(page: Page) -> None:
    open_page(page, "Your account")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")


def enter(page: Page, email: str, password: str) -> None:
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def signed_in(database: Any) -> int:
    """In how many browsers Rita is signed in."""
    (rita,) = [each for each in users.everybody(database, SystemClock().now()) if each.user.email == "rita@example.com"]
    return rita.sessions
