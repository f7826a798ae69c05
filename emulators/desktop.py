"""The believable company with its books in QuickBooks Desktop: one seed tells the same story as `emulators.world`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from emulators.bookkeeper import Books
from emulators.clock import Clock, Rng
from emulators.people import Person
from emulators.qbd import CompanyFile
from emulators.qbd.bookkeeper import DesktopBookkeeper
from emulators.server import serve
from emulators.state import build_state, other, settings_of
from emulators.store import Store
from emulators.stripe.emulator import StripeEmulator
from emulators.truth import Truth
from emulators.world import COMPANY, ZONE, build, make_stripe, start_of


@dataclass
class DesktopWorld:
    """Stripe on loopback and a company file on a PC; what is true of them. Nothing of a company file is served: a
    `WebConnector` on it calls whoever gave it a .qwc file."""

    stripe: StripeEmulator
    file: CompanyFile
    clock: Clock
    truth: Truth
    announcement: dict[str, Any]
    people: list[Person]

    def tick(self) -> None:
        self.stripe.tick()
        self.stripe.deliver()


def make_file(store: Store, clock: Clock) -> CompanyFile:
    return CompanyFile(clock, name=COMPANY, store=store, zone=ZONE)


@dataclass
class DesktopState:
    """What `open_desktop_state` keeps between starts."""

    stripe: StripeEmulator
    file: CompanyFile
    clock: Clock
    seed: int
    cutover: str


def company_file(path: Path) -> Path:
    return other(path, ".company")


def open_desktop_state(path: Path, *, seed: int, months: int, charges: int | None) -> DesktopState:
    """The world at `path` as it was left, whatever seed and months are asked for now; a new one if there is none."""
    if not path.exists():
        build_state(path, company_file(path), _books, seed, months, charges)
    stores, clock = (Store(str(path)), Store(str(company_file(path)))), Clock()
    company_file(path).chmod(0o600)  # the Web Connector keeps its passwords there
    made = settings_of(stores[0])
    stripe = make_stripe(stores[0], clock, made["seed"], taxed=True)
    return DesktopState(stripe, make_file(stores[1], clock), clock, made["seed"], made["cutover"])


def _books(store: Store, clock: Clock, _seed: int) -> Books:
    return DesktopBookkeeper(make_file(store, clock))


@contextmanager
def open_desktop_world(
    seed: int = 7, months: int = 1, charges: int | None = 200, path: Path | None = None, until: datetime | None = None
) -> Iterator[DesktopWorld]:
    """As `emulators.world.open_world`; with `until` the clock stands still at that time, else it runs."""
    names = [str(path / name) if path else ":memory:" for name in ("stripe.db", "company.db")]
    stores, clock = [Store(name) for name in names], Clock()
    end = until or clock.now()
    clock.set(start_of(end, months))
    stripe, file = make_stripe(stores[0], clock, seed, taxed=False), make_file(stores[1], clock)
    books, chance = DesktopBookkeeper(file), Rng(f"{seed} world")
    truth = build(stripe, books, clock, chance, months=months, charges=charges, until=end, seed=seed)
    if until is None:
        clock.release()
    people = [Person(**row) for row in (file.store.get("world", "people") or {"rows": []})["rows"]]
    with serve(stripe.app) as address:
        announcement = {"stripe": {"api": address, "key": stripe.key}, "cutover": truth.cutover}
        yield DesktopWorld(stripe, file, clock, truth, announcement, people)
    for store in stores:
        store.close()
