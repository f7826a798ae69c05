"""Secrets at rest: encrypted with a key that lies outside the database.

The keys come from TIEOUT_KEYS (comma separated, the newest first) or from the file `secret.key` in the data
directory, made at the first run. Who has a backup of the database alone has no secret. What a ciphertext is and whose
is written inside it, so that one copied to another row does not open.
"""

import hmac
import os
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

KEYS_VARIABLE = "TIEOUT_KEYS"
FILE_NAME = "secret.key"


class VaultError(Exception):
    """A secret or a key cannot be used. The message says why and never holds either."""


class Vault:
    """Seals and opens secrets. `purpose` and `owner_id` name what a secret is for and whose it is."""

    def __init__(self, keys: list[str]) -> None:
        """`keys`: the newest first; it seals, and all of them open."""
        if not keys:
            raise VaultError("The vault has no key.")
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
            self._keys = [urlsafe_b64decode(key) for key in keys]
        except ValueError:
            raise VaultError("A key of the vault is not 32 bytes in URL-safe base64.") from None

    def seal(self, purpose: str, owner_id: str, plaintext: str) -> bytes:
        return self._fernet.encrypt(msgspec.json.encode((owner_id, purpose, plaintext)))

    def open(self, purpose: str, owner_id: str, ciphertext: bytes) -> str:
        owner, kind, plaintext = self._decrypt(ciphertext)
        if (owner, kind) != (owner_id, purpose):
            raise VaultError(f"What is stored as {purpose} of {owner_id} was sealed as something else.")
        return plaintext

    def sign(self, purpose: str, text: str) -> str:
        """A signature that nobody without a key can make; it tells nothing about the key."""
        return _sign(self._keys[0], purpose, text)

    def has_signed(self, purpose: str, text: str, signature: str) -> bool:
        """Whether one of the keys made it, for this purpose and text."""
        return any(hmac.compare_digest(_sign(key, purpose, text).encode(), signature.encode()) for key in self._keys)

    def rotate(self, ciphertext: bytes) -> bytes:
        """The same secret under the newest key, after which older keys can be removed."""
        self._decrypt(ciphertext)
        return self._fernet.rotate(ciphertext)

    def _decrypt(self, ciphertext: bytes) -> tuple[str, str, str]:
        try:
            return msgspec.json.decode(self._fernet.decrypt(ciphertext), type=tuple[str, str, str])
        except (InvalidToken, msgspec.MsgspecError):
            raise VaultError(
                f"A stored secret does not open: it is damaged, or the key that sealed it is missing. "
                f"Put that key into {KEYS_VARIABLE} or the file {FILE_NAME}, or connect again."
            ) from None


def _sign(key: bytes, purpose: str, text: str) -> str:
    """With a key of its own for each purpose, so that none signs what another one sealed."""
    own = hmac.digest(key, f"tieout {purpose}".encode(), "sha256")
    return hmac.digest(own, text.encode(), "sha256").hex()


def open_vault(data_dir: Path, environment: Mapping[str, str] = os.environ) -> Vault:
    """The vault whose keys are in the environment or else in `data_dir`."""
    if KEYS_VARIABLE in environment:
        return Vault([key.strip() for key in environment[KEYS_VARIABLE].split(",") if key.strip()])
    path = data_dir / FILE_NAME
    if not path.exists():
        _make_key(path)
    if path.stat().st_mode & 0o077:
        raise VaultError(f"Others may read {path}. Close it with: chmod 600 {path}")
    return Vault(path.read_text("ascii", "replace").split())


def add_key(data_dir: Path) -> None:
    """A new key in front of those in the file: it seals from now on, and the others still open."""
    path = data_dir / FILE_NAME
    draft = _draft(path, Fernet.generate_key() + b"\n" + path.read_bytes())
    draft.replace(path)


def _make_key(path: Path) -> None:
    """A new key file that nobody else can read. Of several processes at once the first one's key stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _draft(path, Fernet.generate_key() + b"\n")
    try:
        os.link(draft, path)  # whole or not at all, and never over another
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _draft(path: Path, content: bytes) -> Path:
    """A file beside `path` that nobody else can read, safely on the disk."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # of a process with our id that was killed here
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft
