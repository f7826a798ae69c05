"""The believable company with its books in QuickBooks Desktop: one seed tells the same story as `emulators.world`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from emulators.clock import Clock, Rng
from emulators.people import Person
from emulators.qbd import CompanyFile
from emulators.qbd.bookkeeper import DesktopBookkeeper
from emulators.server import serve
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
