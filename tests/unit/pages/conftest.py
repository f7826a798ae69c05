"""Fixture `demo`: a database with the company of tests.factories, seeded once and copied for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.engine import Database
from tests import factories
from tests.conftest import opened
from tests.unit.pages.test_pages import NOW


@pytest.fixture(scope="session")
def _demo_template(_sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "tieout.db"
    shutil.copy(_sqlite_template, path)
    with opened(f"sqlite:///{path}") as database:
        factories.seed_company(database, NOW)
    return path


@pytest.fixture
def demo(_demo_template: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(_demo_template, tmp_path / "tieout.db")
    with opened(f"sqlite:///{tmp_path / 'tieout.db'}") as database:
        yield database
