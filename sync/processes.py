"""What `tieout serve` and `tieout demo` start: pages, hooks and worker as processes of their own, or as one."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
import uvicorn

from storage import connections, users
from sync import alerting, auditing, logs, oidc, scheduler, supervisor
from sync.adapters import connect
from sync.demo import connect_demo
from sync.environment import ANNOUNCEMENT, Environment, data_dir, open_environment, public_url
from sync.errors import Rejected
from sync.gate import sign_in_path
from sync.instance import single_instance
from sync.supervisor import Child
from sync.web import hooks_app
from sync.worker import IDLE_S, Worker

STATE_FILE, DESKTOP_STATE_FILE = "emulators.db", "desktop.db"
OWNER = ("owner@localhost", "Owner", "admin")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The demo company: its seed, the months it has had, and which QuickBooks its books are in."""

    seed: int
    months: int
    on_desktop: bool = False


def start(*, port: int, interval_s: int, single: bool, world: World | None = None) -> int:
    """Runs until stopped; gives the exit status. `world` is the demo's. Raises Rejected, DatabaseError."""
    oidc.check_settings()
    directory = data_dir()
    with single_instance(directory):
        environment = open_environment()
        if world is not None:
            _refuse_other_books(environment, world)
        ui_port = free_port(port)
        hooks_port = ui_port if single else free_port(ui_port + 1)
        _announce(environment, ui_port)
        environment.database.close()
        children = [] if world is None else [_emulators(world, free_port(hooks_port + 1), hooks_port)]
        return supervisor.run([*children, *_workbench(ui_port, hooks_port, interval_s, single=single)])


def _workbench(ui_port: int, hooks_port: int, interval_s: int, *, single: bool) -> list[Child]:
    tieout = [sys.executable, "-m", "sync.cli"]
    shared = {
        "TIEOUT_PORT": str(ui_port),
        "TIEOUT_HOOKS": f"http://{host()}:{hooks_port}",
        "TIEOUT_INTERVAL_S": str(interval_s),
    }
    ui = [sys.executable, "-m", "app"]
    if single:
        return [Child("workbench", ui, shared | {"TIEOUT_SINGLE": "1"})]
    return [
        Child("ui", ui, shared),
        Child("hooks", [*tieout, "hooks", "--port", str(hooks_port)], shared),
        Child("worker", [*tieout, "worker", "--interval", str(interval_s)], shared),
    ]


def _refuse_other_books(environment: Environment, world: World) -> None:
    """The books of a demo company stay where they are."""
    with environment.database.read() as conn:
        links = connections.all_links(conn)
        is_there = bool(links) and connections.connection(conn, links[0].ledger_id).system == "qbd"
    if links and is_there != world.on_desktop:
        where = "Desktop" if is_there else "Online"
        raise Rejected(
            f"This demo company keeps its books in QuickBooks {where}. `make demo-reset` forgets it and all that was "
            "stored; the next start makes another one."
        )


def _emulators(world: World, port: int, hooks_port: int) -> Child:
    directory, books_port = data_dir(), str(free_port(port + 1))
    (directory / ANNOUNCEMENT).unlink(missing_ok=True)
    notices = f"http://{host()}:{hooks_port}/webhooks/quickbooks/1"
    module, state = "emulators", STATE_FILE
    books: tuple[str, ...] = ("--quickbooks-port", books_port, "--quickbooks-webhooks", notices)
    if world.on_desktop:  # nobody sends notices; its Web Connector comes by itself
        module, state, books = "emulators.qbd", DESKTOP_STATE_FILE, ("--desk-port", books_port)
    command = [
        *(sys.executable, "-m", module, "--seed", str(world.seed), "--months", str(world.months)),
        *("--state", str(directory / state), "--announce", str(directory / ANNOUNCEMENT)),
        *("--stripe-port", str(port), *books),
    ]
    return Child("emulators", command)


def _announce(environment: Environment, ui_port: int) -> None:
    """A one-time link that signs the owner in; whoever can read this terminal is the owner."""
    token = environment.rng.token(32)
    email, name, role = OWNER
    with environment.database.write() as conn:
        user_id = users.ensure_user(conn, email=email, name=name, role=role)
        users.create_sign_in_link(conn, user_id, token, environment.clock.now())
    where = "the demo company" if environment.demo else "your workbench"
    click.echo(f"Open {where}: {_address(ui_port)}{sign_in_path(token)}")
    click.echo("Stop with Ctrl-C.")


def _address(port: int) -> str:
    """Where to open the pages. By its name, this machine is an address that Intuit sends a browser back to."""
    return public_url() or f"http://{'localhost' if host() == '127.0.0.1' else host()}:{port}"


# ---- the processes themselves


def work(environment: Environment, interval_s: int) -> None:
    """The worker process: syncs as they come due, until it is stopped."""
    logs.begin()
    if environment.demo:
        connect_demo(environment, os.environ.get("TIEOUT_HOOKS"))
    clock = scheduler.start(environment.database, environment.clock, interval_s, alerting.channels())
    try:
        worker = make_worker(environment)
        while True:
            if worker.work():
                _verify_audit(environment)
            else:
                environment.clock.sleep(IDLE_S)
    finally:
        clock.shutdown(wait=False)


def _verify_audit(environment: Environment) -> None:
    """What the run has added, on from where the chain was whole; the longer nobody looks, the less a key protects."""
    try:
        for wrong in auditing.verify(environment, "worker"):
            log.error("%s", wrong)
    except Exception:
        log.exception("the audit log is not verified")


def serve_hooks(environment: Environment, port: int) -> None:
    logs.begin()
    config = uvicorn.Config(hooks_app(environment), host=host(), port=port, log_level="warning", access_log=False)
    uvicorn.Server(config).run()


@contextmanager
def in_background(environment: Environment, interval_s: int) -> Iterator[None]:
    """`--single`: the worker in a thread beside the pages."""
    threading.Thread(target=_work_or_end, args=(environment, interval_s), daemon=True).start()
    yield


def _work_or_end(environment: Environment, interval_s: int) -> None:
    """Pages without a worker only look alive: if it fails, the process ends, and the supervisor starts it anew."""
    try:
        work(environment, interval_s)
    except BaseException:
        log.exception("the worker ended")
        os.kill(os.getpid(), signal.SIGTERM)


def make_worker(environment: Environment, lease_s: float = 150) -> Worker:
    return Worker(
        database=environment.database,
        clock=environment.clock,
        rng=environment.rng,
        connect=lambda link: connect(environment, link, lease_s),
        lease_s=lease_s,
    )


def sync_now(environment: Environment) -> int:
    """One sync of each link, in this process; 0 if all went through."""
    worker, failed, synced = make_worker(environment), 0, 0
    worker.enqueue_now("command line")
    while worker.work():
        synced, failed = synced + 1, failed + (worker.problem is not None)
        done = ", ".join(f"{number} {name}" for name, number in worker.counts.items() if number)
        click.echo(worker.problem or f"Synced: {done or 'nothing new'}.")
    if not synced:
        with environment.database.read() as conn:
            connected = bool(connections.all_links(conn))
        text = "A sync is at work already; another one follows it." if connected else "Nothing is connected yet."
        click.echo(text, err=True)
    return 0 if synced and not failed else 1


def host() -> str:
    return os.environ.get("TIEOUT_HOST", "127.0.0.1")


def free_port(wanted: int) -> int:
    """`wanted`, or the next port nobody listens on."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host(), port))
            except OSError:
                continue
            return port
    raise OSError(f"No free port from {wanted} to {wanted + 99}.")
