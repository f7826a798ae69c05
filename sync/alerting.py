"""Tells somebody that a connection or a sync needs them: by a webhook, by e-mail, or both.

TIEOUT_ALERT_URL    where to post {"text": ...}, as chat services take it; https, or this machine
TIEOUT_ALERT_EMAIL  whom to write to
TIEOUT_SMTP         how: smtp://user:password@host:587 (with STARTTLS), or smtps://
"""

import logging
import os
import smtplib
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import SplitResult, unquote, urlsplit

import requests

from storage import alerts
from storage.engine import Database
from storage.types import encode
from sync.environment import public_url
from sync.errors import Rejected
from sync.ports import Clock

TIMEOUT_S = 10
HERE = ("127.0.0.1", "localhost", "::1")
SUBJECT = "Tieout needs you"

log = logging.getLogger(__name__)
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Alerting:
    """`channels` are tried one after the other; an alert counts as told when all of them took it."""

    database: Database
    clock: Clock
    channels: Sequence[Tell]

    def tick(self) -> int:
        """Looks what needs somebody, and tells of what is new; gives of how much. Any number may do so at once."""
        if not self.channels:
            return 0
        now = self.clock.now()
        with self.database.write() as conn:
            alerts.note(conn, list(alerts.needs(conn, now)), now)
            taken = alerts.take(conn, now)
        told = [each for each in taken if self._tell(each.text)]
        with self.database.write() as conn:
            for each in told:
                alerts.record_told(conn, each.id, self.clock.now())
        return len(told)

    def _tell(self, text: str) -> bool:
        where = public_url()
        try:
            for channel in self.channels:
                channel(f"{text} {where}" if where else text)
        except (OSError, smtplib.SMTPException, requests.RequestException) as error:
            log.warning("an alert could not be told, and is tried again: %s", type(error).__name__)
            return False
        return True


def channels() -> list[Tell]:
    """As the environment says. Raises Rejected for settings that cannot be used."""
    found: list[Tell] = []
    if url := os.environ.get("TIEOUT_ALERT_URL"):
        found.append(_webhook(url))
    if to := os.environ.get("TIEOUT_ALERT_EMAIL"):
        found.append(_mail(to, os.environ.get("TIEOUT_SMTP", "")))
    return found


def _webhook(url: str) -> Tell:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in HERE):
        raise Rejected("TIEOUT_ALERT_URL must begin with https://.")

    def post(text: str) -> None:
        headers = {"Content-Type": "application/json"}
        body = encode({"text": text})
        requests.post(url, body, headers=headers, timeout=TIMEOUT_S, allow_redirects=False).raise_for_status()

    return post


def _mail(to: str, server: str) -> Tell:
    parts = urlsplit(server)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise Rejected("TIEOUT_ALERT_EMAIL needs TIEOUT_SMTP, as smtp://user:password@host:587.")

    def send(text: str) -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = SUBJECT, f"tieout@{parts.hostname}", to
        message.set_content(text)
        with _smtp(parts) as smtp:
            smtp.send_message(message)

    return send


def _smtp(parts: SplitResult) -> smtplib.SMTP:
    """Signed in if the address says as whom; a password never goes out unencrypted."""
    host, context = parts.hostname or "", ssl.create_default_context()
    if parts.scheme == "smtps":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT_S, context=context)
    else:
        smtp = smtplib.SMTP(host, parts.port or 587, timeout=TIMEOUT_S)
        with suppress(smtplib.SMTPNotSupportedError):
            smtp.starttls(context=context)
            smtp.ehlo()
    if parts.username:
        if not isinstance(smtp.sock, ssl.SSLSocket):
            smtp.close()
            raise smtplib.SMTPNotSupportedError("The mail server offers no encryption.")
        smtp.login(unquote(parts.username), unquote(parts.password or ""))
    return smtp
