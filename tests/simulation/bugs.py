"""Bugs planted on purpose, to see that the laws catch them. Nothing but a simulation can switch them on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

from storage import outbox
from sync.ports import Request
from sync.qbd import reading, writing
from sync.qbd.qbxml import Answer
from sync.qbd.writing import Writing


@contextmanager
def resend_without_looking() -> Iterator[None]:
    """What is in doubt is written once more, as something new."""

    def next_doubtful(self: Writing, conn: Any, connection_id: int, visit: str) -> Request | None:
        for item in outbox.doubtful(conn, connection_id, self._clock.now()):
            outbox.record_anew(conn, item.id, item.attempt, problem="Sent again.")
        return None

    with patch.object(Writing, "next_doubtful", next_doubtful):
        yield


@contextmanager
def clear_to_check() -> Iterator[None]:
    """The state of a message set is asked for with its old id alone, which makes QuickBooks forget it."""

    def clear(message_set_id: str) -> str:
        return CHECK(message_set_id).replace(f'newMessageSetID="{message_set_id}" ', "")

    with patch.object(writing, "status_check", clear):
        yield


@contextmanager
def mark_at_first_page() -> Iterator[None]:
    """The watermark moves with each page instead of with the last one."""

    def after(position: reading.Position, found: Answer) -> reading.Position:
        following = AFTER(position, found)
        entity, newest = position["queue"][0], following["newest"]
        if newest is None or entity == reading.AGAIN:
            return following
        marks = following["marks"]
        return following | {"marks": marks | {entity: max(newest, marks.get(entity, newest))}}

    with patch.object(reading, "_after", after):
        yield


CHECK, AFTER = writing.status_check, reading._after
BUGS: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "resend": resend_without_looking,
    "clear": clear_to_check,
    "watermark": mark_at_first_page,
}
