from collections import Counter
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from reconcile import closing
from reconcile.days import book_day
from reconcile.proof import ITEM_SCHEMA
from reconcile.records import Account
from storage import connections, measures, mirror, queries, review, search
from storage.engine import Database
from storage.search import Filter
from storage.users import User
from sync import commands
from sync.clock import FixedClock
from tests import factories
from tests.factories import Seeded

NOW = datetime(2026, 11, 2, 12, tzinfo=UTC)


@pytest.fixture
def company(database: Database) -> Seeded:
    return factories.seed_company(database, NOW)


def test_an_empty_database(database: Database) -> None:
    assert queries.links(database) == []


def test_a_link_before_its_first_sync(database: Database) -> None:
    seeded = factories.seed_link(database, NOW, mode="test")
    [link] = queries.links(database)
    assert (link.mode, link.has_opened, link.stripe.system, link.books.system) == ("test", False, "stripe", "qbo")
    pulse = queries.pulse(database, seeded.link_id)
    assert pulse.is_first
    assert (pulse.current, pulse.last) == (None, None)
    assert queries.tie_out(database, seeded.link_id, NOW) is None
    assert queries.totals(database, seeded.link_id) == []
    assert search.page(database, seeded.link_id).total == 0
    assert queries.activity(database, seeded.link_id, "USD").is_empty()


def test_the_most_serious_mode_is_shown(database: Database) -> None:
    with database.write() as conn:
        ids = [
            connections.add_connection(
                conn, system=system, external_id="1", name=system, mode=mode, settings={}, at=NOW
            )
            for system, mode in (("stripe", "test"), ("qbo", "live"))
        ]
        connections.add_link(
            conn,
            processor_id=ids[0],
            ledger_id=ids[1],
            name="x",
            cutover=NOW.date(),
            time_zone="UTC",
            mappings=connections.Mappings(),
            policies=connections.Policies(),
        )
    assert [link.mode for link in queries.links(database)] == ["live"]


def test_runs(database: Database, company: Seeded) -> None:
    history = queries.history(database, company.link_id)
    assert [run.state for run in history] == ["done", "done", "done", "failed", "done"]
    assert history[0].duration == timedelta(seconds=4)
    factories.add_run(database, company.link_id, NOW, step="Matching", done=3, total=9)
    pulse = queries.pulse(database, company.link_id)
    assert pulse.current is not None
    assert (pulse.current.step, pulse.current.done, pulse.current.total) == ("Matching", 3, 9)
    assert pulse.last_good == history[0]


def test_every_leg_is_counted_once(database: Database, company: Seeded) -> None:
    totals = queries.totals(database, company.link_id)
    shown = {total.standing for total in totals}
    assert {"posted", "pending", "waiting"} <= shown <= {"matched", "posted", "pending", "waiting"}
    counts = queries.activity(database, company.link_id, "USD")
    assert counts["count"].sum() == sum(total.count for total in totals)
    assert set(counts["standing"]) == shown


def test_the_items_make_the_difference(database: Database, company: Seeded) -> None:
    found = queries.tie_out(database, company.link_id, NOW)
    assert found is not None
    assert found.violations == ()
    [today] = found.proof.days.filter(pl.col("day") == found.day).to_dicts()
    items = found.items_of("USD")
    assert items["amount_minor"].sum() == today["difference_minor"]
    assert items.schema == ITEM_SCHEMA
    waiting = items.filter(pl.col("reason") == "waiting")["source_id"].n_unique()
    assert waiting == reasons_of(database, company).total()
    assert waiting == queries.count_review(database, company.link_id)
    assert {"queued", "waits_with_charge", "in_transit", "waiting"} == set(items["reason"])


def test_the_sums_of_the_days_are_those_of_the_entries(database: Database, company: Seeded) -> None:
    """By another way than the sums: from the records of Stripe."""
    days = measures.per_day(database, company.link_id, "USD")
    totals = queries.totals(database, company.link_id)
    assert days["entries"].sum() == sum(total.count for total in totals)
    assert days["settled"].sum() == sum(total.count for total in totals if total.state != "waiting")
    assert (days["waiting"].sum(), days["waiting_minor"].sum()) == (
        search.page(database, company.link_id).total,
        dict(search.page(database, company.link_id).sums)["USD"],
    )
    with database.read() as conn:
        movements = mirror.load_all(conn, company.processor_id, ["movement"])
        cutover = connections.link(conn, company.link_id).cutover
    since = [each for each in movements if book_day(each.created_at, factories.ZONE) >= cutover]
    assert days["volume_minor"].sum() == sum(each.gross_minor for each in since if each.category == "charge")
    assert days["fees_minor"].sum() == sum(each.fee_minor for each in since)
    assert days["refunds_minor"].sum() == days["disputes_minor"].sum() == 0


def test_behind_each_bar_stands_what_it_counts(database: Database, company: Seeded) -> None:
    days = measures.per_day(database, company.link_id, "USD")
    for day, fees in days.select("day", "fees_minor").iter_rows():
        listed, number = measures.entries(database, company.link_id, "USD", day, day, "fees")
        assert sum(each.amount_minor for each in listed) == -fees
        assert number == len(listed)
    for day, standing, count in queries.activity(database, company.link_id, "USD").iter_rows():
        listed, number = measures.entries(database, company.link_id, "USD", day, day, standing)
        assert number == len(listed) == count
        assert {each.standing for each in listed} == {standing}
        assert all(each.document_ids for each in listed) == (standing in ("posted", "matched"))
    _, number = measures.entries(
        database, company.link_id, "USD", days["day"].min(), days["day"].max(), "fees", limit=1
    )
    assert number > 1


def test_what_was_summed_up_is_summed_up_again_when_something_is_written(database: Database, company: Seeded) -> None:
    before = measures.per_day(database, company.link_id, "USD")
    assert queries.tally(database, company.link_id) is queries.tally(database, company.link_id)
    item = search.page(database, company.link_id, Filter(reason="no_invoice")).items[0]
    detail = review.detail(database, company.link_id, item.source_id)
    assert detail is not None
    boss = User(id=company.user_id, email="admin@example.com", name="Admin", role="admin")
    commands.ignore(database, FixedClock(NOW), boss, company.link_id, item.source_id, "a test", detail.version)
    after = measures.per_day(database, company.link_id, "USD")
    assert after["waiting"].sum() == before["waiting"].sum() - 1


def test_a_proof_is_made_again_when_a_record_has_changed(database: Database, company: Seeded) -> None:
    """Nothing but the mirror and its audit changes here: no run, and not the link."""
    found = queries.tie_out(database, company.link_id, NOW)
    assert found is not None
    assert queries.tie_out(database, company.link_id, NOW) is found
    other = Account(id=factories.CLEARING, name="Stripe clearing", type="Bank", currency="USD", balance_minor=1)
    with database.write() as conn:
        mirror.store(conn, company.ledger_id, [("account", other.id, other, "{}")], at=NOW, actor="test")
    again = queries.tie_out(database, company.link_id, NOW)
    assert again is not None
    assert (found.violations, len(again.violations)) == ((), 1)


def reasons_of(database: Database, company: Seeded) -> Counter[str]:
    found = Counter[str]()
    for facet in search.facets(database, company.link_id):
        found[facet.reason] += facet.count
    return found


def test_review_pages_and_filters(database: Database, company: Seeded) -> None:
    reasons = reasons_of(database, company)
    everything = search.page(database, company.link_id, size=1_000)
    assert everything.total == len(everything.items) == reasons.total()
    assert len({item.source_id for item in everything.items}) == everything.total
    pages = [search.page(database, company.link_id, number=page, size=10) for page in range(1, 7)]
    assert [item for page in pages for item in page.items] == list(everything.items)
    for reason, number in reasons.items():
        found = search.page(database, company.link_id, Filter(reason=reason))
        assert {item.reason for item in found.items} == {reason}
        assert found.total == number
    assert search.page(database, company.link_id, Filter(reason="nonsense")).total == 0
    assert search.page(database, company.link_id, number=10**17).items == ()


def test_the_list_of_an_age_is_what_the_ages_count(database: Database, company: Seeded) -> None:
    """Whoever clicks on a bar sees exactly what it counts; the ages leave nothing out and count nothing twice."""
    spans = closing.spans(NOW.date())
    ages = search.ages(database, company.link_id, "USD", spans)
    for (name, first, last), (counted, number, total) in zip(spans, ages, strict=True):
        found = search.page(database, company.link_id, Filter(since=first, until=last, currency="USD"), size=1_000)
        assert (name, found.total, dict(found.sums).get("USD", 0)) == (counted, number, total)
        assert sum(item.amount_minor for item in found.items) == total
    assert sum(number for _, number, _ in ages) == search.page(database, company.link_id).total
    assert [name for name, number, _ in ages if number] == ["0-7", "8-30", "31-60"]


def test_kinds_and_currencies(database: Database, company: Seeded) -> None:
    facets = search.facets(database, company.link_id)
    assert {facet.kind for facet in facets} == {"charge", "payout"}
    for kind, starts in (("charge", "ch_"), ("payout", "po_")):
        found = search.page(database, company.link_id, Filter(kind=kind, currency="USD"), size=1_000)
        assert found.total == sum(facet.count for facet in facets if facet.kind == kind)
        assert all(item.source_id.startswith(starts) for item in found.items)
    for wanted in (Filter(kind="refund"), Filter(currency="EUR"), Filter(show="ignored")):
        assert search.page(database, company.link_id, wanted).items == ()
    assert search.page(database, company.link_id, Filter(show="problems")).total == 1


def test_review_is_searched_in_what_it_shows(database: Database, company: Seeded) -> None:
    item = search.page(database, company.link_id, Filter(reason="proposed")).items[0]
    assert item.customer == "Atelier Brun"
    figure = f"{item.amount_minor // 100:,}.{item.amount_minor % 100:02}"
    for text in (item.source_id, "atelier", f"BRUN {figure}", figure.replace(",", ""), "ap@atelier.example"):
        found = search.page(database, company.link_id, Filter(text=text), size=1_000).items
        assert item in found, text
    assert search.page(database, company.link_id, Filter(text="atelier")).total < 41
    for text in ("nobody", "%", "customer_name", "Atelier Foods"):
        assert search.page(database, company.link_id, Filter(text=text)).total == 0, text


def test_both_sides(database: Database, company: Seeded) -> None:
    item = search.page(database, company.link_id, Filter(reason="proposed")).items[0]
    detail = review.detail(database, company.link_id, item.source_id)
    assert detail is not None
    assert detail.item == item
    assert [leg.kind for leg in detail.legs] == ["gross", "stripe_fee"]
    document, document_id, amount = detail.candidates[0].parts[0]
    assert document is not None
    assert document.id == document_id
    assert document.customer_email == "ap@atelier.example"
    assert amount == item.amount_minor
    assert detail.candidates[0].reasons
    assert review.detail(database, company.link_id, "ch_unknown") is None


def test_a_refused_posting(database: Database, company: Seeded) -> None:
    [item] = search.page(database, company.link_id, Filter(reason="refused")).items
    detail = review.detail(database, company.link_id, item.source_id)
    assert detail is not None
    [posting] = detail.postings
    assert (posting.state, posting.attempt, posting.technical) == ("waiting", 1, '{"code": "6540"}')
    assert detail.item.detail == posting.problem
