"""Documents of some days, or of some ids, read again: for somebody who waits for them, outside the ledger port."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from sync.ports import Fetched, Request
from sync.qbo import faults, objects, wire
from sync.qbo.limits import Carry

PAGE = 1_000  # Intuit's maximum
IDS = 500


class QuickBooksWindow:
    """Implements sync.again.Books."""

    def __init__(self, carry: Carry) -> None:
        self._carry = carry

    def between(self, since: date, until: date, home: str) -> Iterator[list[Fetched]]:
        for entity in wire.ENTITY.values():
            start = 1
            days = f"TxnDate >= '{since}' AND TxnDate <= '{until}'"
            while True:
                found = self._query(f"{_select(entity, days)} STARTPOSITION {start} MAXRESULTS {PAGE}", entity)
                yield [objects.read(entity, body, home) for body in found]
                start += PAGE
                if len(found) < PAGE:
                    break

    def documents(self, ids: Sequence[str], home: str) -> list[Fetched]:
        read: list[Fetched] = []
        for kind, entity in wire.ENTITY.items():
            mine = sorted({each.rpartition(":")[2] for each in ids if each.startswith(f"{kind}:")})
            for start in range(0, len(mine), IDS):
                named = ", ".join(f"'{each}'" for each in mine[start : start + IDS] if each.isdigit())
                bodies = (
                    self._query(f"{_select(entity, f'Id IN ({named})')} MAXRESULTS {PAGE}", entity) if named else []
                )
                read += [objects.read(entity, body, home) for body in bodies]
        known = {one.id for one in read}
        return read + [Fetched(kind=each.partition(":")[0], id=each, record=None) for each in ids if each not in known]

    def _query(self, text: str, entity: str) -> list[Any]:
        body = faults.check(self._carry(Request(kind="read", path="query", body=text)), write=False)
        found: list[Any] = body["QueryResponse"].get(entity, [])
        return found


def _select(entity: str, condition: str) -> str:
    return f"SELECT * FROM {entity} WHERE {condition}"  # noqa: S608 - our own words, dates and digits
