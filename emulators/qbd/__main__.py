"""`python -m emulators.qbd`: the demo company at Stripe and in QuickBooks Desktop, until it is stopped.

Stripe answers on loopback. QuickBooks Desktop answers nobody: its Web Connector calls whoever gave it a .qwc file
(`emulators.qbd.desk` says how it is given one).
"""

import argparse
import json
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from emulators.announcement import write
from emulators.clock import Rng
from emulators.desktop import DesktopState, open_desktop_state
from emulators.life import Life
from emulators.qbd.bookkeeper import DesktopBookkeeper
from emulators.qbd.desk import Desk
from emulators.qbd.refusals import Refused
from emulators.server import serve
from emulators.stripe.errors import StripeError

TICK_S = 1.0


def main() -> None:
    options = _options(sys.argv[1:])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    state = open_desktop_state(options.state, seed=options.seed, months=options.months, charges=options.charges)
    desk = Desk(state.file, state.seed)
    with ExitStack() as stack:
        announcement = {
            "stripe": {
                "api": stack.enter_context(serve(state.stripe.app, options.stripe_port)),
                "key": state.stripe.key,
            },
            "desktop": {"desk": stack.enter_context(serve(desk.app, options.desk_port)), "file": state.file.path},
            "cutover": state.cutover,
        }
        stack.enter_context(state.stripe.running(TICK_S))
        stack.enter_context(desk.running(TICK_S))
        if options.announce:
            write(options.announce, announcement)
        print(json.dumps(announcement), flush=True)
        _live(state, options.pace, stop)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators.qbd", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="another seed is another company")
    parser.add_argument("--months", type=int, default=3, help="whole months of history before this one")
    parser.add_argument("--charges", type=int, help="charges in all; default about a hundred a month")
    parser.add_argument("--state", type=Path, required=True, metavar="FILE", help="where the world is kept")
    parser.add_argument("--announce", type=Path, metavar="FILE", help="write addresses and keys there, as JSON")
    parser.add_argument("--stripe-port", type=int, default=8420, help="or the next free one")
    parser.add_argument("--desk-port", type=int, default=8422, help="or the next free one")
    parser.add_argument("--pace", type=float, default=0, metavar="SECONDS", help="something happens about that often")
    return parser.parse_args(arguments)


def _live(state: DesktopState, pace_s: float, stop: threading.Event) -> None:
    """Until it is stopped; about every `pace_s` seconds something happens."""
    chance = Rng(f"{state.seed} life {state.clock.timestamp()}")
    life = Life(state.stripe, DesktopBookkeeper(state.file), state.clock, chance)
    while not stop.wait(pace_s * chance.between(50, 150) / 100 if pace_s else None):
        try:
            happened = life.step()
        except (StripeError, Refused) as refusal:  # somebody else works here too
            happened = f"nothing: {refusal}"
        print(f"{state.clock.now():%H:%M:%S} {happened}", flush=True)


if __name__ == "__main__":
    main()
