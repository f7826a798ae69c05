"""Passwords of people and of Web Connectors, kept as scrypt hashes."""

import base64
import hashlib
import hmac

LENGTH = 24  # of those we make: URL-safe characters, 144 bits
LENGTH_MAX = 200  # of those people choose
COST = {"n": 2**14, "r": 8, "p": 1}


def hash_of(password: str, salt: str) -> str:
    """`salt` is any text that no other password has."""
    made = hashlib.scrypt(password.encode(), salt=salt.encode(), dklen=32, **COST)
    return f"scrypt${salt}${base64.b64encode(made).decode()}"


def fits(password: str, stored: str) -> bool:
    """Takes as long for a wrong one, however wrong it is."""
    _, salt, _ = stored.split("$")
    return hmac.compare_digest(hash_of(password, salt), stored)


NOBODY = hash_of("", "nobody")  # to compare with where there is none, so that this takes as long
