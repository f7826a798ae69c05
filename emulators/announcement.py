"""Tells another process how to reach a running world."""

import json
import os
from pathlib import Path
from typing import Any


def write(path: Path, announcement: dict[str, Any]) -> None:
    """Whole or not at all, for its owner only."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(announcement, file, indent=2)
    draft.replace(path)
