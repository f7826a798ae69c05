"""Error recovery by message set ids: what QuickBooks keeps of the message sets of an application.

| new | old | meaning |
|---|---|---|
| x | - | do it and keep the state under x; if there is a state of x already, do nothing and give that |
| x | x | only give the state of x |
| x | y | clear y, then as x alone |
| - | x | clear x |
"""

import hashlib
from dataclasses import dataclass

from emulators.qbd.company import Switches
from emulators.store import Body, Store

NO_STATE, OTHER_TEXT, NO_ANSWER, ID_TOO_LONG = 600, 9001, 9002, 9004


@dataclass(frozen=True)
class Recovery:
    """What is given instead of doing anything: the stored answer, else a status alone."""

    status: int
    text: str = ""


class MessageSets:
    def __init__(self, store: Store, application: str, switches: Switches) -> None:
        self.store, self.application, self.switches = store, application, switches

    def look_up(self, new: str | None, old: str | None, text: str, *, is_empty: bool) -> Recovery | None:
        """None: the requests are to be done."""
        if new is not None and len(new) > self.switches.message_set_id_max:
            return Recovery(ID_TOO_LONG)
        if old is not None and old != new:
            self.store.delete("message_set", self._name(old))
        if new is None:
            return None
        state = self.store.get("message_set", self._name(new))
        if state is None:
            return Recovery(NO_STATE) if old == new else None
        if not (is_empty and old == new) and state["sum"] != checksum(text):
            return Recovery(OTHER_TEXT)
        return Recovery(0, state["answer"]) if state["answer"] else Recovery(NO_ANSWER)

    def keep(self, new: str, text: str, answer: str) -> None:
        body: Body = {"id": self._name(new), "sum": checksum(text), "answer": answer}
        self.store.put("message_set", self._name(new), body, created=0, keys={"application": self.application})
        kept = self.switches.message_sets_kept
        if kept is not None:
            for state in self.store.find("message_set", where={"application": self.application})[kept:]:
                self.store.delete("message_set", state["id"])

    def forget_answer(self, text: str) -> None:
        """QuickBooks did it, and could not store the answer: status 9002 from then on."""
        for state in self.store.find("message_set", where={"application": self.application}):
            if state["sum"] == checksum(text):
                self.store.put(
                    "message_set",
                    state["id"],
                    state | {"answer": ""},
                    created=0,
                    keys={"application": self.application},
                )

    def _name(self, message_set_id: str) -> str:
        return f"{self.application}|{message_set_id}"


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
