"""What the rest of Tieout may rely on of a ledger, whichever it is: one suite for both adapters of the ledger port."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from reconcile.postings import Posting
from sync.ports import Request
from tests.contract.ledger_benches import START, Bench, open_bench

IN_BOOKS = ("posted", "verified")


@pytest.fixture(scope="module", params=["qbo", "qbd"])
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with open_bench(request.param, tmp_path_factory.mktemp(request.param)) as opened:
        opened.run()  # the whole books, once
        yield opened


@pytest.fixture
def bench(shared: Bench) -> Iterator[Bench]:
    shared.pass_time(3_600)
    shared.writes.clear()
    yield shared
    shared.faults.clear()
    shared.reads_fail = False
    shared.books.close(None)


def test_a_posting_is_written_once_and_then_seen_in_the_books(bench: Bench) -> None:
    posting = bench.posting()
    bench.plan(posting)
    assert bench.run() is None
    assert len(bench.books.marked(posting.marker)) == 1
    bench.run()
    assert (bench.item(posting).state, len(bench.writes)) == ("verified", 1)
    assert bench.known(posting).marker == posting.marker


def test_several_are_all_written(bench: Bench) -> None:
    postings = [bench.posting(cents) for cents in (100, 200, 300)]
    bench.plan(*postings)
    bench.run()
    assert [len(bench.books.marked(each.marker)) for each in postings] == [1, 1, 1]


def test_what_was_done_without_an_answer_is_found_and_not_sent_again(bench: Bench) -> None:
    posting = bench.posting()
    bench.plan(posting)
    bench.faults = ["after"]
    bench.run()
    bench.run()
    assert bench.item(posting).state in IN_BOOKS
    assert len(bench.books.marked(posting.marker)) == 1
    assert len(bench.writes) == 1


def test_what_was_not_done_is_looked_for_then_sent_again_as_it_was(bench: Bench) -> None:
    posting = bench.posting()
    bench.plan(posting)
    bench.faults = ["before", "before"]
    bench.run()
    bench.run()
    assert bench.item(posting).state in IN_BOOKS
    assert len(bench.books.marked(posting.marker)) == 1
    assert len({(each.body, tuple(sorted(each.query.items()))) for each in bench.writes[1:]}) == 1


def test_nothing_is_sent_again_while_the_books_cannot_be_searched(bench: Bench) -> None:
    posting = bench.posting()
    bench.plan(posting)
    bench.run(until=lambda request: request.kind == "write")
    bench.reads_fail = True
    for _ in range(12):
        bench.run()
        bench.pass_time(1_200)
    assert bench.item(posting).state in ("doubtful", "waiting")
    assert bench.writes == []
    bench.reads_fail = False
    if bench.item(posting).state == "waiting":
        assert bench.item(posting).problem
        bench.retry(posting)
    bench.run()
    bench.run()
    assert len(bench.books.marked(posting.marker)) == 1


def test_what_a_killed_process_took_along_is_looked_for(bench: Bench) -> None:
    """It was claimed; whether it left, nobody knows. Here it did, and its answer came to nobody."""
    posting = bench.posting()
    bench.plan(posting)

    def take_and_die(request: object) -> bool:
        if request.kind == "write":  # type: ignore[attr-defined]
            bench.books.carry(request)  # type: ignore[arg-type]
        return request.kind == "write"  # type: ignore[attr-defined, no-any-return]

    bench.run(until=take_and_die)
    assert bench.item(posting).state == "sending"
    bench.pass_time(1_200)
    bench.run()
    assert bench.item(posting).state in IN_BOOKS
    assert len(bench.books.marked(posting.marker)) == 1
    assert bench.writes == []


def test_nothing_in_doubt_is_sent_again_while_posting_is_switched_off(bench: Bench) -> None:
    posting = bench.posting()
    bench.plan(posting)
    bench.run(until=lambda request: request.kind == "write")
    bench.switch_posting(on=False)
    for _ in range(2):
        bench.pass_time(1_200)
        bench.run()
    assert (bench.writes, bench.books.marked(posting.marker)) == ([], [])
    bench.switch_posting(on=True)
    bench.run()
    assert len(bench.books.marked(posting.marker)) == 1


def test_who_is_busy_is_asked_again_later(bench: Bench) -> None:
    posting = bench.posting()
    bench.plan(posting)
    bench.faults = ["busy"]
    bench.run()
    for _ in range(3):
        bench.pass_time(400)
        assert bench.run() is None
    assert bench.item(posting).state in IN_BOOKS
    assert len(bench.books.marked(posting.marker)) == 1


def test_closed_books_make_it_wait_with_the_reason_until_somebody_has_opened_them(bench: Bench) -> None:
    posting = bench.posting(dated=START.date() - timedelta(days=3))
    bench.plan(posting)
    bench.books.close(START.date() - timedelta(days=1))
    bench.run()
    item = bench.item(posting)
    assert (item.state, bench.books.marked(posting.marker)) == ("waiting", [])
    assert "closed" in str(item.problem)
    bench.books.close(None)
    assert bench.retry(posting)
    bench.run()
    assert len(bench.books.marked(posting.marker)) == 1


def test_a_refused_posting_waits_alone(bench: Bench) -> None:
    wrong, right = bench.posting(account="nowhere"), bench.posting()
    bench.plan(wrong, right)
    bench.run()
    assert bench.item(wrong).state == "waiting"
    assert bench.item(wrong).problem
    assert bench.item(right).state in IN_BOOKS
    assert bench.books.marked(wrong.marker) == []


@pytest.mark.parametrize(("fault", "sent"), [("", 1), ("after", 1), ("before", 2), ("busy", 2)])
def test_what_is_undone_is_taken_back_once(bench: Bench, fault: str, sent: int) -> None:
    posting = posted(bench)
    undo = bench.take_back(posting)
    bench.faults = [fault]
    for _ in range(4):
        bench.run()
        bench.pass_time(400)
    assert (bench.item(undo).state in IN_BOOKS, bench.item(posting).state) == (True, "spent")
    assert bench.books.marked(posting.marker) == []
    assert len(bench.writes) == sent
    assert len({each.body for each in bench.writes}) == (1 if fault != "busy" or bench.books.system == "qbo" else 2)


@pytest.mark.parametrize("change", ["date", "delete"])
def test_what_somebody_changed_meanwhile_is_not_taken_back(bench: Bench, change: str) -> None:
    """At the last moment: of Online's SyncToken there is a refusal, in Desktop only a look right before can tell."""
    posting = posted(bench)
    undo = bench.take_back(posting)
    changed: list[str] = []

    def meanwhile(request: Request) -> bool:
        if request.purpose in ("balances", "post") and not changed:
            (document,) = bench.books.marked(posting.marker)
            changed.append(change)
            if change == "date":
                bench.books.redate(document, START.date() - timedelta(days=2))
            else:
                bench.books.delete(document)
        return False

    for _ in range(3):
        bench.run(until=meanwhile)
        bench.pass_time(400)
    item = bench.item(undo)
    assert changed
    assert len(bench.books.marked(posting.marker)) == (1 if change == "date" else 0)
    if change == "delete" and bench.books.system == "qbo":
        assert item.state in IN_BOOKS, "not found: it is done, whoever did it"
        return
    assert (item.state, bench.item(posting).state in IN_BOOKS) == ("withdrawn", True)
    assert "in QuickBooks meanwhile" in str(item.problem)
    assert bench.writes == [] or bench.books.system == "qbo"


def posted(bench: Bench) -> Posting:
    """A document that is in the books, and was read there."""
    posting = bench.posting()
    bench.plan(posting)
    bench.run()
    bench.pass_time(60)
    bench.run()
    assert bench.item(posting).state == "verified"
    bench.writes.clear()
    return posting


def test_a_document_that_somebody_deleted_is_gone(bench: Bench) -> None:
    posting = bench.posting()
    bench.plan(posting)
    bench.run()
    bench.run()
    (document,) = bench.books.marked(posting.marker)
    bench.books.delete(document)
    bench.pass_time(60)
    bench.run()
    assert bench.known(posting) is None
    assert bench.books.marked(posting.marker) == [], "nobody asked for it again"
