"""What goes wrong between a Web Connector and a web service: probabilities per request or per session, from a seed."""

from collections.abc import Collection, Mapping, Sequence

from emulators.clock import Rng

FAULTS = {
    "crash_before": "(a) the PC stops before QuickBooks executes the request; nothing more is heard",
    "crash_after": "(b) QuickBooks commits, the PC stops before the answer is delivered",
    "answer_lost_inside": "(b) QuickBooks commits and cannot store its answer, the PC stops: status 9002 from then on",
    "error_before": "(b) QuickBooks gives an HRESULT instead of an answer, and did nothing",
    "error_after": "(b) QuickBooks gives an HRESULT instead of an answer, and has done it",
    "response_twice": "(c) receiveResponseXML arrives twice",
    "reply_lost": "(c) receiveResponseXML arrives, its reply does not",
    "request_lost": "(d) the reply to sendRequestXML comes too late",
    "restart_before": "(f) the Web Connector restarts with a request in hand that QuickBooks has not seen",
    "restart_after": "(f) the Web Connector restarts after QuickBooks has executed, before the answer is delivered",
    "restore": "(g) QuickBooks commits, then the company file is restored as it was before this session",
    "truncate": "(h) half of the answer arrives",
    "huge": "(h) more than 10 MB of answer arrive",
    "busy": "(j) the next writes are refused: somebody is in the way",
}
# These befall a whole session, or what happens before it.
SESSION_FAULTS = {
    "no_close": "(e) closeConnection is never sent",
    "swap": "(g) another company file is open",
    "user_edits": "(i) before the session somebody changes the newest payment",
    "user_deletes": "(i) before the session somebody deletes the newest payment",
}
HUGE_BYTES, BUSY_WRITES = 11_000_000, 3


class Faults:
    """`script` says what happens to the first requests, one by one ("" is nothing); then chance takes over."""

    def __init__(self, rng: Rng, switches: Mapping[str, float] | None = None, script: Sequence[str] = ()) -> None:
        self.rng, self.script = rng, list(script)
        self.switches = dict.fromkeys((*FAULTS, *SESSION_FAULTS), 0.0)
        self.set(switches or {})
        _check(set(self.script) - {""}, FAULTS)

    def set(self, switches: Mapping[str, float]) -> None:
        _check(set(switches), self.switches)
        self.switches.update(switches)

    def heal(self) -> None:
        """From now on everything works."""
        self.switches, self.script = dict.fromkeys(self.switches, 0.0), []

    def draw(self) -> str:
        """The fault of one request, "" for none."""
        if self.script:
            return self.script.pop(0)
        return next((name for name in FAULTS if self.befalls(name)), "")

    def befalls(self, name: str) -> bool:
        probability = self.switches[name]
        return bool(probability) and self.rng.chance(probability)


def _check(names: Collection[str], known: Collection[str]) -> None:
    unknown = set(names) - set(known)
    if unknown:
        raise ValueError(f"Unknown fault {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
