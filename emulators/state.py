"""Where a running world is kept between starts: two stores and the truth beside them.

A world is built under other names and renamed when it is whole, the file that says so last: none is ever half built.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emulators.bookkeeper import Bookkeeper, Books
from emulators.clock import Clock, Rng
from emulators.qbo import QboEmulator
from emulators.store import Body, Store
from emulators.stripe.emulator import StripeEmulator
from emulators.world import build, make_quickbooks, make_stripe, start_of

BUILDING = ".building"


@dataclass
class State:
    stripe: StripeEmulator
    qbo: QboEmulator
    clock: Clock
    seed: int
    months: int
    cutover: str
    was_built: bool


MakeBooks = Callable[[Store, Clock, int], Books]


def _online(store: Store, clock: Clock, seed: int) -> Books:
    return Bookkeeper(make_quickbooks(store, clock, seed))


def other(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def quickbooks_file(path: Path) -> Path:
    return other(path, ".quickbooks")


def truth_file(path: Path) -> Path:
    return other(path, ".truth.json")


def open_state(path: Path, *, seed: int, months: int, charges: int | None) -> State:
    """The world at `path` as it was left, whatever seed and months are asked for now; a new one if there is none."""
    was_built = not path.exists()
    if was_built:
        build_state(path, quickbooks_file(path), _online, seed, months, charges)
    stores, clock = (Store(str(path)), Store(str(quickbooks_file(path)))), Clock()
    made = settings_of(stores[0])
    stripe, qbo = (
        make_stripe(stores[0], clock, made["seed"], taxed=True),
        make_quickbooks(stores[1], clock, made["seed"]),
    )
    return State(stripe, qbo, clock, made["seed"], made["months"], made["cutover"], was_built)


def build_state(path: Path, books_file: Path, make: MakeBooks, seed: int, months: int, charges: int | None) -> None:
    """Writes a new world: Stripe at `path`, the books at `books_file`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files = other(path, BUILDING), other(books_file, BUILDING)
    for file in files:
        file.unlink(missing_ok=True)
    stores, clock = [Store(str(file)) for file in files], Clock()
    until = clock.now()
    clock.set(start_of(until, months))
    stripe, books = make_stripe(stores[0], clock, seed, taxed=False), make(stores[1], clock, seed)
    chance = Rng(f"{seed} world")
    truth = build(stripe, books, clock, chance, months=months, charges=charges, until=until, seed=seed)
    stores[0].put("world", "settings", {"seed": seed, "months": months, "cutover": truth.cutover}, created=0)
    for store in stores:
        store.close()
    truth.write(truth_file(path))
    files[1].replace(books_file)
    files[0].replace(path)


def settings_of(stripe: Store) -> Body:
    """The seed, months and cut-over a world was made with."""
    made = stripe.get("world", "settings")
    assert made is not None, "This is not the state of a world."
    return made
