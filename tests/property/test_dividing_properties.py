"""What is chosen by hand is divided to the last cent, or refused."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from reconcile.dividing import DivisionError, Payable, divide

AMOUNTS = st.lists(st.integers(1, 10_000), min_size=1, max_size=6)


@given(AMOUNTS, AMOUNTS, st.sampled_from([None, "fee", "write_off"]))
def test_every_cent_paid_is_somewhere_once(paid: list[int], owed: list[int], short: str | None) -> None:
    payments = [Payable(id=f"ch_{n}", amount_minor=amount) for n, amount in enumerate(paid)]
    invoices = [Payable(id=f"invoice:{n}", amount_minor=amount) for n, amount in enumerate(owed)]
    with suppress(DivisionError):
        found = divide(payments, invoices, "USD", short)  # type: ignore[arg-type]
        parts = [part for several in found.parts.values() for part in several]
        taken = sum(part.amount_minor or 0 for part in parts)
        closed = sum(part.short_minor for part in parts)
        assert sum(paid) == taken + found.left_minor
        assert sum(owed) == taken + closed + found.open_minor
        assert all((part.amount_minor or 0) > 0 for part in parts)
        assert sum(bool(part.short_minor) for part in parts) == bool(short)
        for each in invoices:
            assert sum(part.amount_minor or 0 for part in parts if part.ledger_id == each.id) <= each.amount_minor
        assert (len(paid) == 1) or (len(owed) == 1)
