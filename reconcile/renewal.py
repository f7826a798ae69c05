"""The next revision of a marker: what is posted again after its document is gone is a new document, under a new name.

Rules name their documents by the first revision; a plan is renewed as a whole when it is made. Markers that were only
planned and withdrawn are not spent, so planning again gives the same names.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from reconcile.postings import POSTED, LegDecision, Posting


def renew(
    postings: Sequence[Posting], decisions: Sequence[LegDecision], spent: Collection[str]
) -> tuple[list[Posting], list[LegDecision]]:
    """A plan in which no posting has a spent marker, and everything that names one names its successor."""
    if not spent:
        return list(postings), list(decisions)
    last = _last_revisions(spent)
    names = {posting.marker: _renewed(posting.marker, last) for posting in postings}
    names = {old: new for old, new in names.items() if old != new}
    if not names:
        return list(postings), list(decisions)
    renewed = [replace(each, markers=tuple(names.get(name, name) for name in each.markers)) for each in decisions]
    return [_rename(posting, names) for posting in postings], renewed


def _last_revisions(spent: Iterable[str]) -> dict[str, int]:
    """The highest spent revision by what comes before it: processor id and kind."""
    last: dict[str, int] = {}
    for marker in spent:
        head, revision, _ = _parts(marker)
        last[head] = max(revision, last.get(head, 0))
    return last


def _renewed(marker: str, last: Mapping[str, int]) -> str:
    head, revision, step = _parts(marker)
    return f"{head}:r{max(revision, last.get(head, 0) + 1)}:{step}"


def _parts(marker: str) -> tuple[str, int, str]:
    head, revision, step = marker.rsplit(":", 2)
    return head, int(revision.removeprefix("r")), step


def _rename(posting: Posting, names: Mapping[str, str]) -> Posting:
    """`applied` and `target` name documents by their posting's marker while they are not made yet."""
    posted = {f"{POSTED}{old}": f"{POSTED}{new}" for old, new in names.items()}
    target = posting.target
    return replace(
        posting,
        marker=names.get(posting.marker, posting.marker),
        after=names.get(posting.after, posting.after) if posting.after else None,
        applied=tuple(replace(part, id=posted.get(part.id, part.id)) for part in posting.applied),
        target=posted.get(target, target) if target else None,
    )
