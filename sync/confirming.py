"""Accepting many proposed matches at once, each as if a person had accepted it by itself."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.engine import Database
from storage.likely import TOGETHER_MAX, Likely
from storage.users import User
from sync.commands import NotAllowedError, RefusedError, accept_match, check
from sync.holding import HeldError
from sync.ports import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The decisions that were made, and the objects that had changed since the person looked: those were left alone.

    `held` wait for a second person.
    """

    decision_ids: tuple[int, ...]
    left: tuple[str, ...]
    held: tuple[str, ...] = ()


def accept_likely(database: Database, clock: Clock, actor: User, link_id: int, seen: Sequence[Likely]) -> Accepted:
    """Accepts what the person saw listed; each is audited, and can be taken back, by itself."""
    with database.write() as conn:
        check(conn, actor, "accept_match")
    decided, left, held = [], [], []
    for each in seen[:TOGETHER_MAX]:
        try:
            decided.append(accept_match(database, clock, actor, link_id, each.source_id, each.match_id, each.version))
        except NotAllowedError:
            raise
        except HeldError:
            held.append(each.source_id)
        except RefusedError:
            left.append(each.source_id)
    return Accepted(decision_ids=tuple(decided), left=tuple(left), held=tuple(held))
