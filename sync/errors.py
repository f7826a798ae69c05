"""What can go wrong at the other side, sorted by what we may do next.

    SyncError
    ├── Transient       nothing was done; try again later, not before `retry_after_s`
    ├── Ambiguous       it may or may not have been done; look for the marker before anything else
    ├── Rejected        it was refused for a reason a person can mend; waits in review with `plain`
    ├── Stale           the object changed meanwhile; read it again and decide anew
    ├── Unauthorized    the connection must be made again by a person; everything of it waits
    │   └── Forbidden   the credentials are good, but lack the right to this; what needs it waits, the rest goes on
    └── Unclassified    we do not know what this answer means: a finding in itself; ends the sync, or waits in review

`plain` is for the person who sees it: what happened, to which record, what to do. `technical` is for support. `cause`
says in one of our words why something was refused, so that what waits for the same can be shown together.
"""

from typing import Literal

Cause = Literal["", "reference", "closed_period", "permission", "subscription", "number", "currency"]


class SyncError(Exception):
    """Any trouble with Stripe or QuickBooks."""

    def __init__(
        self,
        plain: str,
        *,
        technical: str = "",
        code: str = "",
        retry_after_s: float | None = None,
        cause: Cause = "",
    ) -> None:
        super().__init__(plain)
        self.plain = plain
        self.technical = technical
        self.code = code
        self.retry_after_s = retry_after_s
        self.cause: Cause = cause


class Transient(SyncError):  # noqa: N818 - the names of the tree are the words of the design
    """Nothing was done: the network, a limit, or the other side's own trouble."""


class Ambiguous(SyncError):  # noqa: N818
    """The request may have been applied: the answer was lost or made no sense."""


class Rejected(SyncError):  # noqa: N818
    """The other side understood and refused."""


class Stale(SyncError):  # noqa: N818
    """The object changed since we read it."""


class Unauthorized(SyncError):  # noqa: N818
    """The credentials are refused."""


class Forbidden(Unauthorized):
    """The credentials are taken, but not for this; `code` is what the other side calls the right."""


class Unclassified(SyncError):  # noqa: N818
    """An answer we have no name for."""
