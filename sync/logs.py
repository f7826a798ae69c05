"""What our processes log: one JSON object a line on standard error, without secrets."""

import logging
import re
import sys
from datetime import UTC, datetime

from storage.types import encode

HIDDEN = "[hidden]"
# What stands for itself, what stands in an address, and what is named: token=..., "client_secret": "...".
SECRETS = re.compile(
    r"(?:sk|rk|pk)_(?:live|test)_\w+|whsec_\w+|(?i:bearer|basic)\s+[\w.~+/=-]+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?P<named>(?i:token|secret|password)[\"']?\s*[:=]\s*[\"']?)[^&\s\"',}]+"
)


class Line(logging.Formatter):
    """`at, level, from, says`, and `error` with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "says": hide(record.getMessage()),
        }
        if record.exc_info:
            told["error"] = hide(self.formatException(record.exc_info))
        return encode(told).decode()


def hide(text: str) -> str:
    """Without what looks like a key, a token or a password."""
    return SECRETS.sub(lambda found: f"{found['named'] or ''}{HIDDEN}", text)


def begin() -> None:
    """Everything that is logged in this process from here on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
