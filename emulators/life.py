"""The world goes on while it runs: now and then a customer pays, or wants the money back."""

from datetime import timedelta

from emulators.agenda import Agenda
from emulators.bookkeeper import Books
from emulators.cashier import Body, Cashier
from emulators.clock import Clock, Rng
from emulators.people import Person
from emulators.stories import Period, Stories
from emulators.stripe.emulator import StripeEmulator
from emulators.truth import Truth

EVENTS = {"linked": 11, "reference": 5, "no_reference": 1, "overpaid": 1, "unpaid": 2, "refund": 2}
FAR = timedelta(days=3_650)


class Life:
    def __init__(self, stripe: StripeEmulator, books: Books, clock: Clock, rng: Rng) -> None:
        self.clock, self.rng, self.agenda = clock, rng, Agenda()
        self.cashier = Cashier(stripe)
        kept = books.store.get("world", "people") or {"rows": []}
        people = [Person(**row) for row in kept["rows"]]
        self.period = Period(clock.now(), clock.now() + FAR)
        self.stories = Stories(self.cashier, books, self.agenda, rng, people, Truth(0, 0), self.period)

    def step(self) -> str:
        """Something happens now; tells what."""
        now = self.period.start = self.clock.now()
        event = self.rng.pick(list(EVENTS), list(EVENTS.values()))
        if event == "refund":
            self._refund()
        elif event == "unpaid":
            person = self.stories.payer()
            self.stories.unpaid(person, self.stories.price(person))
        else:
            getattr(self.stories, event)(now)
        self.agenda.run(now, lambda _: None)
        return event

    def _refund(self) -> None:
        charges = [each for each in self.cashier.get("charges", limit=50)["data"] if _can_be_refunded(each)]
        if charges:
            charge = self.rng.pick(charges)
            self.cashier.refund(charge["id"], charge["amount_captured"] - charge["amount_refunded"])


def _can_be_refunded(charge: Body) -> bool:
    settled = charge["status"] == "succeeded" and charge["balance_transaction"] is not None
    return settled and not charge["refunded"] and not charge["disputed"]
