"""The functional core: matching, planning and proving, without clock, I/O or chance."""

from reconcile.matching import Allocation, MatchResult, Proposal, Verdict, match
from reconcile.rules import Rules

__all__ = ["Allocation", "MatchResult", "Proposal", "Rules", "Verdict", "match"]
