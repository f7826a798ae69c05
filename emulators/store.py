"""Where a stand-in keeps its objects: one SQLite file, one row an object, looked up by id, by key or by time."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson

Body = dict[str, Any]

FEW = 300  # objects that are quicker found by their ids than by walking through time

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, id TEXT NOT NULL,
    created INTEGER NOT NULL, body BLOB NOT NULL, UNIQUE (kind, id));
CREATE INDEX IF NOT EXISTS objects_in_time ON objects (kind, created, seq);
CREATE TABLE IF NOT EXISTS keys (
    kind TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (kind, name, value, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_of_object ON keys (kind, id);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


class Store:
    """Objects are plain dicts. Reads give fresh copies; only `put` changes what is stored.

    Every change happens inside `transaction()`; transactions nest (the outermost one commits) and roll back
    as a whole on an exception. Safe to share between threads.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=MEMORY")
        self._db.execute("PRAGMA synchronous=OFF")  # a stand-in survives kill -9, not a power cut
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    def copy_to(self, other: "Store") -> None:
        """Makes `other` the same, whatever it held."""
        with self._lock, other._lock:
            self._db.backup(other._db)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part of a transaction that is undone alone on an exception."""
        with self.transaction():
            name = f"part_{self._depth}"
            self._db.execute(f"SAVEPOINT {name}")
            try:
                yield
            except BaseException:
                self._db.execute(f"ROLLBACK TO {name}")
                self._db.execute(f"RELEASE {name}")
                raise
            self._db.execute(f"RELEASE {name}")

    def put(
        self,
        kind: str,
        id: str,  # noqa: A002
        body: Body,
        *,
        created: int,
        keys: Mapping[str, str | None] | None = None,
    ) -> None:
        """Insert or replace. `keys` are the values `find(where=...)` can select by; they replace earlier keys.

        A replaced object keeps its place in time: `created` counts only at the first put.
        """
        with self.transaction():
            self._db.execute(
                "INSERT INTO objects (kind, id, created, body) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
                (kind, id, created, orjson.dumps(body)),
            )
            self._db.execute("DELETE FROM keys WHERE kind = ? AND id = ?", (kind, id))
            self._db.executemany(
                "INSERT INTO keys VALUES (?, ?, ?, ?)",
                [(kind, name, value, id) for name, value in (keys or {}).items() if value is not None],
            )

    def get(self, kind: str, id: str) -> Body | None:  # noqa: A002
        with self._lock:
            row = self._db.execute("SELECT body FROM objects WHERE kind = ? AND id = ?", (kind, id)).fetchone()
        return None if row is None else orjson.loads(row[0])

    def delete(self, kind: str, id: str) -> None:  # noqa: A002
        with self.transaction():
            self._db.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, id))
            self._db.execute("DELETE FROM keys WHERE kind = ? AND id = ?", (kind, id))

    def find(
        self,
        kind: str,
        *,
        where: Mapping[str, str] | None = None,
        created_gte: int | None = None,
        created_lte: int | None = None,
        older_than: str | None = None,
        newer_than: str | None = None,
        oldest_first: bool = False,
        limit: int | None = None,
    ) -> list[Body]:
        """Objects of one kind ordered by (created, insertion), newest first unless told otherwise.

        `older_than` / `newer_than` name an object id: only what lies strictly beyond it in that order is given.
        """
        clauses: list[str] = ["o.kind = ?"]
        values: list[str | int] = [kind]
        rare = self._rarest(kind, where or {})
        for name, value in (where or {}).items():
            clauses.append(
                "o.id IN (SELECT k.id FROM keys k WHERE k.kind = ? AND k.name = ? AND k.value = ?)"
                if name == rare
                else "EXISTS (SELECT 1 FROM keys k WHERE k.kind = ? AND k.id = o.id AND k.name = ? AND k.value = ?)"
            )
            values += [kind, name, value]
        for bound, sign in ((created_gte, ">="), (created_lte, "<=")):
            if bound is not None:
                clauses.append(f"o.created {sign} ?")
                values.append(bound)
        for cursor, sign in ((older_than, "<"), (newer_than, ">")):
            if cursor is not None:
                clauses.append(
                    f"(o.created, o.seq) {sign} (SELECT c.created, c.seq FROM objects c WHERE c.kind = ? AND c.id = ?)"  # noqa: S608
                )
                values += [kind, cursor]
        order = "ASC" if oldest_first else "DESC"
        # By id where a key picks a few, so that the rest is not looked at; else along the time, until there are enough.
        source = "objects o INDEXED BY sqlite_autoindex_objects_1" if rare else "objects o INDEXED BY objects_in_time"
        sql = f"SELECT o.body FROM {source} WHERE {' AND '.join(clauses)} ORDER BY o.created {order}, o.seq {order}"  # noqa: S608
        if limit is not None:
            sql += " LIMIT ?"
            values.append(limit)
        with self._lock:
            return [orjson.loads(row[0]) for row in self._db.execute(sql, values)]

    def _rarest(self, kind: str, where: Mapping[str, str]) -> str | None:
        """The name of a key that only a few objects have, if there is one."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM keys WHERE kind = ? AND name = ? AND value = ? LIMIT ?)"
        with self._lock:
            for name, value in where.items():
                if self._db.execute(sql, (kind, name, value, FEW)).fetchone()[0] < FEW:
                    return name
        return None

    def count(self, kind: str) -> int:
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM objects WHERE kind = ?", (kind,)).fetchone()[0])

    def number(self, name: str) -> int:
        """The next number of a counter: 1, 2, 3, ..."""
        with self.transaction():
            row = self._db.execute(
                "INSERT INTO counters VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value",
                (name,),
            ).fetchone()
        return int(row[0])
