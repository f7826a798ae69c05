"""The table of roles in docs/ROLES.md is what the commands do, and nothing that a person can do is missing from it."""

import inspect
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

import sync
from storage import users
from storage.engine import Database
from storage.users import ROLES, User
from storage.vault import open_vault
from sync import commands
from sync.clock import FixedClock, SeededRng
from sync.environment import Environment
from sync.ports import Clock
from tests import factories

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"\| [^|]+ \| `(\w+)` \| ([^|]+) \|((?: ?✓? \|){5})")
HELPERS = {
    ("sync.commands", "check"),
    ("sync.commands", "entry"),
    ("sync.commands", "may"),
    ("sync.callback", "begin"),
    ("sync.holding", "hold"),
}
BY_KIND = {"undo"}  # takes what making the decision took: tests/integration/test_decisions.py
PATHS = {"To Stripe": "sending", "Your account": "account"}


@dataclass(frozen=True)
class Row:
    page: str
    may: tuple[bool, ...]  # by role


class PassedError(Exception):
    """The role was looked at and fits."""


def table() -> dict[str, Row]:
    found = ROW.findall((ROOT / "docs" / "ROLES.md").read_text())
    return {name: Row(page, tuple("✓" in cell for cell in cells.split("|")[:5])) for name, page, cells in found}


def all_commands() -> dict[str, tuple[ModuleType, Callable[..., Any]]]:
    """What a person can do: every public function of sync/ that takes an actor."""
    found = {}
    for each in pkgutil.walk_packages(sync.__path__, "sync."):
        module = import_module(each.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            ours = function.__module__ == each.name and not name.startswith("_") and (each.name, name) not in HELPERS
            if ours and User in inspect.get_annotations(function, eval_str=True).values():
                assert name not in found, f"two commands are called {name}"
                found[name] = (module, function)
    return found


@pytest.fixture
def given(sqlite_database: Database, tmp_path: Path) -> dict[Any, Any]:
    """An argument by its type."""
    vault = open_vault(tmp_path, {})
    clock, rng = FixedClock(), SeededRng()
    factories.seed_link(sqlite_database, clock.now())
    environment = Environment(
        data_dir=tmp_path, demo=False, database=sqlite_database, vault=vault, clock=clock, rng=rng
    )
    values = {int: 1, str: "x", bool: True, bytes: b"", date: clock.now().date()}
    return {Environment: environment, Database: sqlite_database, Clock: clock, **values}


def arguments(function: Callable[..., Any], given: dict[Any, Any], actor: User) -> dict[str, Any]:
    given = given | {User: actor}
    found = {}
    for name, parameter in inspect.signature(function, eval_str=True).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            found[name] = given.get(parameter.annotation) or next(iter(get_args(parameter.annotation)), None)
    return found


def roles_that_may(name: str, given: dict[Any, Any], monkeypatch: pytest.MonkeyPatch) -> tuple[bool, ...]:
    """Calls a command in each role, as far as its look at the role."""
    module, function = all_commands()[name]
    real = commands.check

    def looked_at(conn: Any, actor: User, action: str) -> None:
        real(conn, actor, action)
        raise PassedError

    with monkeypatch.context() as patch:
        for place in {module, commands}:
            if hasattr(place, "check"):
                patch.setattr(place, "check", looked_at)
        return tuple(is_allowed(function, arguments(function, given, person(given[Database], role))) for role in ROLES)


def person(database: Database, role: str) -> User:
    """Somebody who has this role, and claims to be an admin."""
    email = f"{role}-of-roles@example.com"
    with database.write() as conn:
        user_id = users.ensure_user(conn, email=email, name=role, role=role)
    return User(id=user_id, email=email, name=role, role="admin")


def is_allowed(function: Callable[..., Any], arguments: dict[str, Any]) -> bool:
    try:
        result = function(**arguments)
        if inspect.isgenerator(result):
            next(result, None)
    except commands.NotAllowedError:
        return False
    except PassedError:
        return True
    return True


def test_each_command_takes_the_role_that_the_table_says(
    given: dict[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = table()
    found = {name: roles_that_may(name, given, monkeypatch) for name in all_commands() if name not in BY_KIND}
    wrong = {name: ROLES[may.index(True)] for name, may in found.items() if name not in rows or rows[name].may != may}
    assert not wrong, "docs/ROLES.md says otherwise of these, which take the role named"


def test_the_table_names_every_command_and_no_other() -> None:
    assert set(table()) == set(all_commands()) - BY_KIND


def test_each_command_stands_on_the_page_that_the_table_says() -> None:
    roots = {
        path: module for module, path in re.findall(r'_page\((\w+)\.\w+, context, .*, "([a-z-]+)"[,)]', text("app.py"))
    }
    for name, row in table().items():
        root = roots[PATHS.get(row.page.strip(), row.page.strip().lower().replace(" ", "-"))]
        assert any(re.search(rf"\w\.{name}\b", text(f"pages/{each}.py")) for each in drawn_by(root)), (name, row.page)


def drawn_by(page: str) -> set[str]:
    """The modules of pages/ that one of them needs, itself among them."""
    seen, left = set[str](), {f"pages.{page}"}
    while left:
        seen |= left
        known = [value for each in left for value in vars(import_module(each)).values() if inspect.ismodule(value)]
        left = {module.__name__ for module in known if module.__name__.startswith("pages.")} - seen
    return {each.partition(".")[2] for each in seen}


def text(path: str) -> str:
    return (ROOT / path).read_text()
