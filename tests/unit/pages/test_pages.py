"""Each page drawn without a browser, over databases in every stage of a company's life."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages import (
    audit,
    connections,
    dry_run,
    go_live,
    mapping,
    overview,
    payouts,
    people,
    problems,
    review,
    sending,
    syncs,
    words,
)
from pages.context import Context
from reconcile.postings import Posting
from reconcile.records import PayoutItems
from reconcile.snapshot import OpenDispute
from storage import connections as store
from storage import mirror, outbox, queries, schedules, search, users
from storage import review as waiting
from storage.engine import Database
from storage.records import to_json
from storage.schedules import Schedule
from storage.search import Filter
from storage.users import User
from storage.vault import open_vault
from sync.clock import FixedClock, SeededRng
from sync.environment import Environment
from tests import factories

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)
DECIDING = ("Accept", "This one", "Not these two", "It is another one", "Record without invoice…", "Ignore…")
PAGES = {
    "overview": overview.render,
    "review": review.render,
    "payouts": payouts.render,
    "syncs": syncs.render,
    "sending": sending.render,
    "audit": audit.render,
    "problems": problems.render,
}
SETTINGS = {
    "connections": connections.render,
    "mapping": mapping.render,
    "go-live": go_live.render,
    "dry-run": dry_run.render,
    "users": people.render,
    "account": people.account,
}


def environment(database: Database) -> Environment:
    folder = Path(database.url.removeprefix("sqlite:///")).parent
    vault = open_vault(folder, {})
    return Environment(
        data_dir=folder, demo=True, database=database, vault=vault, clock=FixedClock(NOW), rng=SeededRng()
    )


def context(database: Database, role: str = "admin", interval_s: int | None = 900) -> Context:
    with database.write() as conn:
        user_id = users.ensure_user(conn, email=f"{role}@example.com", name=role, role=role)
    links = queries.links(database)
    link = links[0] if links else None
    return Context(
        environment=environment(database),
        database=database,
        clock=FixedClock(NOW),
        user=User(id=user_id, email=f"{role}@example.com", name=role, role=role),
        now=NOW,
        links=tuple(links),
        link=link,
        pulse=queries.pulse(database, link.id) if link else None,
        waiting=queries.count_review(database, link.id) if link else 0,
        interval_s=interval_s,
    )


@pytest.fixture(autouse=True)
def own_main(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts `__main__` back: AppTest leaves its script there, and a spawned process would start by running that."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


def draw(name: str, shown: Context, /, **query: str) -> AppTest:
    def script(render, context):  # type: ignore[no-untyped-def]  # its source alone is run, without our imports
        render(context)

    test = AppTest.from_function(script, default_timeout=30, args=((PAGES | SETTINGS)[name], shown))
    for key, value in query.items():
        test.query_params[key] = value
    test.run()
    assert not test.exception
    return test


def said(test: AppTest) -> str:
    """All text of a page."""
    parts = [element.proto.body for element in test.get("html")]
    return " ".join([*parts, *(each.value for each in (*test.caption, *test.markdown))])


@pytest.mark.parametrize("page", PAGES)
def test_nothing_connected(sqlite_database: Database, page: str) -> None:
    assert "Connect a Stripe account" in said(draw(page, context(sqlite_database)))


@pytest.mark.parametrize("page", PAGES)
def test_connected_but_never_synced(sqlite_database: Database, page: str) -> None:
    factories.seed_link(sqlite_database, NOW)
    text = said(draw(page, context(sqlite_database)))
    assert "EMULATED" in text
    assert {
        "overview": "Start the first sync",
        "review": "nothing was synced",
        "syncs": "No sync was run",
        "sending": "Nothing was synced",
        "payouts": "No payout was read yet",
        "audit": "Nobody has done anything yet",
        "problems": "Nothing has failed: nothing was synced so far",
    }[page] in text


def test_the_first_sync_shows_its_progress(sqlite_database: Database) -> None:
    seeded = factories.seed_link(sqlite_database, NOW)
    progress: dict[str, Any] = {"step": "Reading charges from Stripe", "done": 1_200, "counts": {"fetched": 1_200}}
    factories.add_run(sqlite_database, seeded.link_id, NOW, **progress)
    for page in ("overview", "syncs"):
        text = said(draw(page, context(sqlite_database)))
        assert "Reading charges from Stripe · 1,200" in text
        assert "So far: 1,200 fetched" in text


def test_the_overview_says_whether_it_ties_out(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    test = draw("overview", context(sqlite_database))
    text = said(test)
    assert "USD (" in text
    assert "open</b> · 1 in transit to the bank" in text
    assert "41 waiting for review" in text
    assert [expander.label.partition(" · ")[0] for expander in test.expander] == [
        "On the way into QuickBooks",
        "Waiting for review",
        "Waiting with their charge",
        "In transit to the bank",
    ]
    assert not test.dataframe, "what is folded away is not sent"


def test_the_review_shows_both_sides(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    shown = context(sqlite_database)
    text = said(draw("review", shown, reason="proposed"))
    assert "its open balance equals the charge" in text
    assert "Atelier Brun" in text
    assert "✓ equal" in text


def test_the_item_of_the_url_is_shown_wherever_it_is_in_the_list(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    shown = context(sqlite_database)
    last = search.page(sqlite_database, seeded.link_id, size=1_000).items[-1]
    assert last.source_id in said(draw("review", shown, item=last.source_id))
    assert "ch_gone does not wait any more" in said(draw("review", shown, item="ch_gone"))


@pytest.mark.parametrize("query", [{"page": "x"}, {"page": "-1"}, {"page": "99"}, {"reason": "nonsense"}, {"q": "%_"}])
def test_a_strange_url_breaks_nothing(sqlite_database: Database, query: dict[str, str]) -> None:
    factories.seed_company(sqlite_database, NOW)
    draw("review", context(sqlite_database), **query)


def test_a_payout_is_a_statement_that_ties_or_says_why_not(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    shown, payout_id = context(sqlite_database, role="viewer"), "po_1Qtide000000000017"
    assert len(draw("payouts", shown).dataframe) == 1
    assert "Stripe has not said yet what is in it" in said(draw("payouts", shown, payout=payout_id))
    with sqlite_database.write() as conn:
        [out] = mirror.load_children(conn, seeded.processor_id, "movement", [payout_id])
        [charge] = mirror.load_children(conn, seeded.processor_id, "movement", ["ch_3Qtide000000000000"])
        items = PayoutItems(id=payout_id, movement_ids=(out.id, charge.id))
        mirror.store(conn, seeded.processor_id, [("payout_items", payout_id, items, "{}")], at=NOW, actor="test")
    rest = words.money(charge.net_minor + out.net_minor, "USD")
    test = draw("payouts", shown, payout=payout_id)
    assert f"It does not tie: the 2 entries that Stripe lists for it leave {rest} over" in said(test)
    assert test.dataframe[0].value["Stripe"].tolist() == [payout_id, charge.source_id]
    assert "po_gone is not known" in said(draw("payouts", shown, payout="po_gone"))
    assert "No payout fits" in said(draw("payouts", shown, q="%", bank="nonsense", page="x"))


def test_retry_of_a_refused_posting(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    test = draw("review", context(sqlite_database), reason="refused")
    assert "was deleted" in said(test)
    assert "6540" not in said(test), "the technical detail is folded away"
    [retry] = [button for button in test.button if button.label == "Retry"]
    retry.click().run()
    assert not test.exception
    assert test.toast[0].value == "It goes into QuickBooks with the next sync."
    assert search.page(sqlite_database, seeded.link_id, Filter(reason="refused")).total == 0


def test_an_empty_queue_says_when_it_was_checked(sqlite_database: Database) -> None:
    seeded = factories.seed_link(sqlite_database, NOW)
    factories.add_run(sqlite_database, seeded.link_id, NOW)
    factories.finish_run(sqlite_database, seeded.link_id, NOW)
    assert "Nothing waits. Last checked just now; next check in 15 minutes." in said(
        draw("review", context(sqlite_database))
    )
    assert "Nothing waits. Last checked just now." in said(draw("review", context(sqlite_database, interval_s=None)))


def test_run_now(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    test = draw("syncs", context(sqlite_database))
    test.button(key="run-now").click().run()
    assert test.toast[0].value == "The sync starts in a moment."
    assert queries.history(sqlite_database, seeded.link_id)[0].cause == "admin@example.com"


def test_a_schedule_is_chosen_and_shown(sqlite_database: Database) -> None:
    link_id = factories.seed_company(sqlite_database, NOW).link_id
    shown = draw("syncs", context(sqlite_database))
    shown.selectbox(key="schedule-kind").select("weekly").run()
    shown.selectbox(key="schedule-day").select("Friday").run()
    shown.time_input(key="schedule-at").set_value(time(18, 30)).run()
    shown.button(key="keep-schedule").click().run()
    assert shown.toast[0].value == "The schedule is kept."
    assert "Next: 2026-11-06 18:30" in said(draw("syncs", context(sqlite_database)))
    with sqlite_database.read() as conn:
        chosen = schedules.of_link(conn, link_id)
    assert chosen is not None
    assert chosen.schedule == Schedule(kind="weekly", at="18:30", weekday=4)


def test_run_more_than_these_books(sqlite_database: Database) -> None:
    """Offered once there are more; by connection only where one is shared."""
    seeded = factories.seed_link(sqlite_database, NOW)
    assert not [button for button in draw("syncs", context(sqlite_database)).button if "All" in button.label]
    factories.add_link(sqlite_database, seeded, NOW, "Another shop")
    test = draw("syncs", context(sqlite_database))
    offered = [button.label for button in test.button if "All" in button.label]
    assert offered == ["All · 2 Stripe accounts", "All of Tideway Trading · 2 Stripe accounts"]
    next(button for button in test.button if button.label == offered[1]).click().run()
    assert test.toast[0].value == "The sync starts in a moment."
    assert all(queries.history(sqlite_database, link.id) for link in queries.links(sqlite_database))


def test_a_viewer_is_offered_nothing_to_change(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    shown = context(sqlite_database, role="viewer")
    syncs_page = draw("syncs", shown)
    assert syncs_page.button(key="run-now").disabled
    assert "You are a viewer" in said(syncs_page)
    refused = draw("review", shown, reason="refused")
    assert all(button.disabled for button in refused.button if button.label == "Retry")


def test_history(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    frame = syncs.frame(queries.history(sqlite_database, 1), queries.links(sqlite_database)[0])
    assert frame["State"].to_list() == ["✓ done", "✓ done", "✓ done", "✕ failed", "✓ done"]
    assert frame["Started"][0] == "2026-11-02 06:58", "on the link's clock"
    assert frame["Fetched"].to_list() == ["3", "", "14", "", "312"]
    assert frame["What happened"][3].startswith("Stripe could not be reached")


def press(test: AppTest, label: str) -> None:
    [button, *_] = [button for button in test.button if button.label == label]
    button.click().run()
    assert not test.exception


def test_accepting_goes_on_to_the_next_and_can_be_undone(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    shown = context(sqlite_database, role="reviewer")
    first, second, *_ = search.page(sqlite_database, seeded.link_id, Filter(reason="PARTIAL")).items
    test = draw("review", shown, reason="PARTIAL")
    assert "Difference 0.00. 10.00 USD stays open on the invoice." in said(test)
    press(test, "Accept")
    assert test.query_params["item"] == second.source_id
    assert test.toast[0].value == "Accepted: Invoice 1113."
    [stored] = waiting.standing(sqlite_database, seeded.link_id, first.source_id)
    assert (stored.decision.kind, stored.decision.actor) == ("match", "reviewer@example.com")
    assert queries.count_review(sqlite_database, seeded.link_id) == 40
    press(test, "Undo")
    assert test.toast[0].value.startswith("Taken back")
    assert waiting.standing(sqlite_database, seeded.link_id, first.source_id) == ()


def test_of_equally_good_answers_a_person_points_at_one(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    test = draw("review", context(sqlite_database), reason="proposed")
    assert [button.label for button in test.button if "ccept" in button.label or "This" in button.label] == [
        "This one",
        "This one",
    ]


def test_a_viewer_can_decide_nothing(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    test = draw("review", context(sqlite_database, role="viewer"))
    buttons = [button for button in test.button if button.label in DECIDING]
    assert len(buttons) > 3
    assert all(button.disabled for button in buttons)


def test_a_refused_posting_of_no_payment_is_on_problems(sqlite_database: Database) -> None:
    """An opening balance belongs to no item of Review, so it would wait where nobody looks."""
    seeded = factories.seed_link(sqlite_database, NOW)
    opening = Posting(
        marker="acct_1:opening-usd:r1:s1",
        kind="journal_entry",
        dated=NOW.date(),
        currency="USD",
        amount_minor=4_200,
        account_id=factories.CLEARING,
        memo="",
    )
    with sqlite_database.write() as conn:
        store.record_decided(conn, seeded.link_id, 1)
        outbox.plan(conn, link_id=seeded.link_id, connection_id=seeded.ledger_id, postings=[opening], at=NOW)
        (item,) = outbox.ready(conn, seeded.ledger_id, NOW)
        outbox.claim(conn, item, request_id="r", body="{}", search_from=NOW, at=NOW, lease_s=60)
        refusal = {"problem": "The books are closed.", "technical": "6210", "nothing_written": True}
        outbox.record_refused(conn, item.id, 1, **refusal)
    page = draw("problems", context(sqlite_database))
    assert "The books are closed." in said(page)
    press(page, "Try 1 posting again")
    assert "The books are closed." not in said(draw("problems", context(sqlite_database)))


def test_the_connections_are_shown_and_none_of_their_secrets(sqlite_database: Database) -> None:
    seeded = factories.seed_link(sqlite_database, NOW)
    shown = context(sqlite_database)
    with sqlite_database.write() as conn:
        store.store_secret(conn, shown.environment.vault, seeded.processor_id, "key", "sk_live_concealed", NOW)
        store.set_state(conn, seeded.ledger_id, "reconnect", "QuickBooks no longer accepts the connection.", NOW)
    test = draw("connections", context(sqlite_database))
    assert "key since 2 Nov 2026" in said(test)
    assert "concealed" not in f"{said(test)} {[each.value for each in test.text_input]}"
    assert [button.disabled for button in test.button if button.label == "Connect again"] == [False]
    for page in ("overview", "review", "syncs"):
        assert "Nothing is synced: QuickBooks no longer accepts" in said(draw(page, context(sqlite_database)))


def test_what_stripe_refuses_is_said_and_the_key_is_gone(sqlite_database: Database) -> None:
    test = draw("connections", context(sqlite_database))
    test.text_input(key="stripe-key").input("not a key")
    [button] = [each for each in test.button if each.label == "Connect Stripe"]
    button.click().run()
    assert "those begin with sk_ or rk_" in said(test)
    assert test.text_input(key="stripe-key").value == ""


def test_who_may_not_connect_is_offered_nothing(sqlite_database: Database) -> None:
    test = draw("connections", context(sqlite_database, "accountant"))
    assert "Ask an admin" in said(test)
    assert not test.text_input


@pytest.mark.parametrize("page", ["mapping", "go-live", "dry-run"])
def test_the_set_up_before_and_after_a_connection_is_made(sqlite_database: Database, page: str) -> None:
    assert "Connect a Stripe account" in said(draw(page, context(sqlite_database)))
    factories.seed_link(sqlite_database, NOW)
    text = said(draw(page, context(sqlite_database)))
    assert {"mapping": "was not read yet", "go-live": "not known yet", "dry-run": "being read"}[page] in text


def test_the_mapping_says_what_is_missing_and_creates_nothing_by_itself(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    test = draw("mapping", context(sqlite_database))
    assert "7 choices missing" in said(test)
    assert test.selectbox(key="map-clearing:USD").value == factories.CLEARING
    assert [each.label for each in test.button if each.label.startswith("Create “")][:2] == [
        "Create “Disputes receivable”",
        "Create “Dispute losses”",
    ]
    test.selectbox(key="policy-charge_without_invoice").select("sales_receipt").run()
    assert test.toast[0].value == "Saved. The next sync plans with it."
    viewer = draw("mapping", context(sqlite_database, "viewer"))
    assert all(box.disabled for box in viewer.selectbox)


def test_the_go_live_shows_both_sides_and_the_entry(sqlite_database: Database) -> None:
    factories.seed_company(sqlite_database, NOW)
    text = said(draw("go-live", context(sqlite_database)))
    assert "812.40" in text
    assert "Dr Stripe clearing 812.40; Cr Opening Balance Equity 812.40. It is in QuickBooks." in text


def test_the_go_live_asks_about_disputes_that_were_open(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    with sqlite_database.write() as conn:
        (opening,) = store.link(conn, seeded.link_id).openings or ()
        taken = OpenDispute(id="du_1Before", taken_minor=12_345, movement_ids=("txn_before",))
        found = (replace(opening, disputes=(taken,)),)
        store.change_link(conn, seeded.link_id, openings=to_json(found))
    shown = draw("go-live", context(sqlite_database))
    assert "du_1Before" in said(shown)
    assert "123.45 USD" in said(shown)
    (choice,) = [
        each for each in shown.selectbox if each.label == "A dispute that was open, or a reserve held, at the cut-over"
    ]
    assert choice.value == "unsaid"
    choice.select("post").run()
    with sqlite_database.read() as conn:
        assert store.link(conn, seeded.link_id).policies.open_items == "post"


def test_posting_is_switched_on_only_where_the_dry_run_was_seen(sqlite_database: Database) -> None:
    seeded = factories.seed_company(sqlite_database, NOW)
    with sqlite_database.write() as conn:
        store.switch_posting(conn, seeded.link_id, on=False)
    syncs_page = draw("syncs", context(sqlite_database))
    assert not [each for each in syncs_page.button if each.label == "Switch posting on"]
    assert "4 documents would be written" in said(draw("dry-run", context(sqlite_database, "viewer")))
    assert not [each for each in draw("syncs", context(sqlite_database)).button if each.label == "Switch posting on"]
    test = draw("dry-run", context(sqlite_database, "accountant"))
    assert "Stripe clearing → Checking" in said(test)
    test.button(key="switch-posting").click().run()
    assert test.toast[0].value == "Posting is on now."
