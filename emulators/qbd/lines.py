"""The lines of a document that a Mod request names: by their TxnLineID they stay, -1 adds one, the others go.

Source: Intuit's "QBSDK Programmer's Guide", on modifying transactions.
"""

from emulators.qbd.refusals import gone
from emulators.store import Body

NEW = "-1"


def changed_lines(present: list[Body], mods: list[Body]) -> list[Body]:
    """The lines as they are to be, those that are new without a TxnLineID. Raises `Refused`."""
    known = {line["TxnLineID"]: line for line in present}
    lines = []
    for each in mods:
        rest = {name: value for name, value in each.items() if name != "TxnLineID"}
        if each["TxnLineID"] == NEW:
            lines.append(rest)
            continue
        if each["TxnLineID"] not in known:
            raise gone(each["TxnLineID"])
        lines.append(known.pop(each["TxnLineID"]) | rest)
    return lines
