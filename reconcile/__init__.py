"""The functional core: matching, planning and proving, without clock, I/O or chance."""

from reconcile.lists import match_lists
from reconcile.matching import Allocation, MatchResult, Proposal, Verdict, match
from reconcile.proof import Proof, prove
from reconcile.rules import Rules

__all__ = ["Allocation", "MatchResult", "Proof", "Proposal", "Rules", "Verdict", "match", "match_lists", "prove"]
