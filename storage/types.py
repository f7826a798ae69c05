"""Column types that SQLite and PostgreSQL keep alike. Money columns are BigInteger of minor units beside a currency."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import DateTime, Dialect, Text, TypeDecorator

_encoder = msgspec.json.Encoder(order="sorted", decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


class Utc(TypeDecorator[datetime]):
    """An instant. Only aware datetimes go in; UTC comes out. (SQLite keeps no time zone and would mix instants up.)"""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} names no time zone, so it is not an instant.")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Json(TypeDecorator[Any]):
    """A value as JSON text with sorted keys: equal values are equal bytes, whichever database keeps them.

    Numbers with a fraction come out as Decimal, never float: vendors write amounts of money that way.
    None is NULL.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else decode(value)


def encode(value: Any) -> bytes:
    """JSON with sorted keys: what digests are taken of."""
    return _encoder.encode(value)


def decode(text: str | bytes) -> Any:
    """What `encode` wrote; numbers with a fraction as Decimal."""
    return _decoder.decode(text)
