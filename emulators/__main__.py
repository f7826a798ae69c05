"""`python -m emulators`: a demo company at Stripe and QuickBooks Online, on loopback, until it is stopped."""

import argparse
import json
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from emulators.announcement import write
from emulators.bookkeeper import Bookkeeper
from emulators.clock import Rng
from emulators.faults import FAULTS
from emulators.life import Life
from emulators.qbo import QboFault
from emulators.server import serve
from emulators.state import State, open_state
from emulators.stripe.errors import StripeError
from emulators.stripe.settings import API_VERSION
from emulators.world import announce

TICK_S = 1.0


def main() -> None:
    options = _options(sys.argv[1:])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    state = open_state(options.state, seed=options.seed, months=options.months, charges=options.charges)
    _switch(state, options)
    with ExitStack() as stack:
        stripe_address = stack.enter_context(serve(state.stripe.app, options.stripe_port))
        qbo_address = stack.enter_context(serve(state.qbo.app, options.quickbooks_port))
        stack.callback(state.qbo.close)
        stack.enter_context(state.stripe.running(TICK_S))
        announcement = announce(state.stripe, state.qbo, stripe_address, qbo_address, state.cutover)
        if options.announce:
            write(options.announce, announcement)
        _show(announcement, state)
        _live(state, options.pace, stop)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emulators", description=__doc__)
    parser.add_argument("--seed", type=int, default=7, help="another seed is another company")
    parser.add_argument("--months", type=int, default=3, help="whole months of history before this one")
    parser.add_argument("--charges", type=int, help="charges in all; default about a hundred a month")
    parser.add_argument("--state", type=Path, required=True, metavar="FILE", help="where the world is kept")
    parser.add_argument("--announce", type=Path, metavar="FILE", help="write addresses and keys there, as JSON")
    parser.add_argument("--stripe-port", type=int, default=8420, help="or the next free one")
    parser.add_argument("--quickbooks-port", type=int, default=8421, help="or the next free one")
    parser.add_argument("--quickbooks-webhooks", metavar="URL", help="where QuickBooks sends its notices")
    parser.add_argument("--pace", type=float, default=0, metavar="SECONDS", help="something happens about that often")
    parser.add_argument("--throttle", action="store_true", help="QuickBooks holds to its limits of requests")
    parser.add_argument(
        "--fault", type=_fault, action="append", default=[], metavar="SYSTEM.FAULT=PROBABILITY",
        help=f"stripe or quickbooks; faults: {', '.join(FAULTS)}",
    )  # fmt: skip
    return parser.parse_args(arguments)


def _fault(text: str) -> tuple[str, str, float]:
    name, _, probability = text.partition("=")
    system, _, fault = name.partition(".")
    if system not in ("stripe", "quickbooks") or fault not in FAULTS:
        raise argparse.ArgumentTypeError(f"{name} is not stripe.FAULT or quickbooks.FAULT")
    return system, fault, float(probability)


def _switch(state: State, options: argparse.Namespace) -> None:
    for system, fault, probability in options.fault:
        (state.stripe if system == "stripe" else state.qbo).faults.set({fault: probability})
    state.qbo.switch(throttle=options.throttle)
    state.qbo.webhooks.configure(options.quickbooks_webhooks)


def _show(announcement: dict[str, Any], state: State) -> None:
    how = "built" if state.was_built else "opened"
    lines = [f"World {how}: seed {state.seed}, {state.months} months, cut-over {state.cutover}", ""]
    for system in ("stripe", "quickbooks"):
        lines += [f"{system:<11} {name:<14} {value}" for name, value in announcement[system].items()]
    lines += [f"{'stripe':<11} {'version':<14} {API_VERSION}", "", json.dumps(announcement)]
    print("\n".join(lines), flush=True)


def _live(state: State, pace_s: float, stop: threading.Event) -> None:
    """Until it is stopped; about every `pace_s` seconds something happens."""
    chance = Rng(f"{state.seed} life {state.clock.timestamp()}")
    life = Life(state.stripe, Bookkeeper(state.qbo), state.clock, chance)
    while not stop.wait(pace_s * chance.between(50, 150) / 100 if pace_s else None):
        try:
            happened = life.step()
        except (StripeError, QboFault) as refusal:  # somebody else works here too: a customer may be gone
            happened = f"nothing: {refusal}"
        print(f"{state.clock.now():%H:%M:%S} {happened}", flush=True)


if __name__ == "__main__":
    main()
