"""What a Stripe key may not read: which lists, what that holds up, and what to do about it."""

from dataclasses import dataclass, field

from sync.errors import Forbidden

# What Stripe calls what we list.
LISTS = {
    "movement": "balance transactions",
    "charge": "charges",
    "refund": "refunds",
    "dispute": "disputes",
    "payout": "payouts",
    "processor_invoice": "invoices",
    "invoice_payment": "invoice payments",
    "credit_note": "credit notes",
    "customer": "customers",
    "subscription": "subscriptions",
    "events": "events",
    "balance": "the balance",
}
# Without these a payment could be taken for one that pays no invoice, or there is nothing to go by.
NEEDED = ("movement", "charge", "processor_invoice", "invoice_payment")


@dataclass
class Rights:
    """What was refused in one sync: by list, what Stripe calls the right that is missing ("" if it does not say)."""

    missing: dict[str, str] = field(default_factory=dict)

    def note(self, name: str, error: Forbidden) -> None:
        self.missing[name] = error.code

    @property
    def stops(self) -> bool:
        """Whether nothing may be decided on what could be read."""
        return any(name in NEEDED for name in self.missing)

    def sentence(self) -> str | None:
        """What is missing, what that means and what to do; None if nothing is."""
        if not self.missing:
            return None
        lists = " and ".join(LISTS.get(name, name.replace("_", " ")) for name in sorted(self.missing))
        called = ", ".join(sorted(filter(None, set(self.missing.values()))))
        which = f" ({called})" if called else ""
        meaning = (
            "Until then nothing is posted, because a payment could be recorded wrongly."
            if self.stops
            else "Until then what is about them waits; everything else goes on."
        )
        return (
            f"The Stripe key may not read {lists}{which}. In Stripe, open Developers, API keys, edit the key and let "
            f"it read them, or give Tieout another key under Connections, Manage. {meaning}"
        )
