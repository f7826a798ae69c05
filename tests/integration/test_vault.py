"""Secrets open only for whom and what they were sealed, and only with their key."""

import hmac
import stat
import subprocess
import sys
from base64 import urlsafe_b64decode
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from storage.vault import Vault, VaultError, add_key, open_vault

SECRET = "rk_live_never_shown"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return open_vault(tmp_path, {})


def test_a_secret_comes_back(vault: Vault) -> None:
    sealed = vault.seal("token", "realm 1", SECRET)
    assert SECRET.encode() not in sealed
    assert vault.open("token", "realm 1", sealed) == SECRET


@pytest.mark.parametrize(("purpose", "owner"), [("token", "2"), ("webhook", "1"), ("1", "token"), ("", "")])
def test_a_ciphertext_in_another_row_is_refused(vault: Vault, purpose: str, owner: str) -> None:
    sealed = vault.seal("token", "1", SECRET)
    with pytest.raises(VaultError, match=f"stored as {purpose} of {owner} was sealed as something else") as raised:
        vault.open(purpose, owner, sealed)
    assert SECRET not in str(raised.value)


def test_what_is_sealed_in_another_shape_is_refused() -> None:
    key = Fernet.generate_key()
    for content in (b"[]", b'["1", "token"]', b'["1", "token", 2]', b'{"1": "token"}', b"x"):
        with pytest.raises(VaultError, match="does not open"):
            Vault([key.decode()]).open("token", "1", Fernet(key).encrypt(content))


def test_a_signature_is_for_one_purpose_and_one_text() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    signature = Vault([old]).sign("audit", "entry 7")
    for keys in ([old], [new, old]):
        assert Vault(keys).has_signed("audit", "entry 7", signature)
        assert not Vault(keys).has_signed("session", "entry 7", signature)
        assert not Vault(keys).has_signed("audit", "entry 8", signature)
        assert not Vault(keys).has_signed("audit", "entry 7", signature[:-1])
    assert not Vault([new]).has_signed("audit", "entry 7", signature)
    assert Vault([new, old]).sign("audit", "entry 7") == Vault([new]).sign("audit", "entry 7") != signature
    key = urlsafe_b64decode(old)
    own = hmac.new(key, b"tieout audit", "sha256").digest()  # written by every version: it must stay as it is
    assert signature == hmac.new(own, b"entry 7", "sha256").hexdigest()


def test_a_new_key_seals_and_the_one_before_still_opens(tmp_path: Path) -> None:
    sealed, path = open_vault(tmp_path, {}).seal("token", "1", SECRET), tmp_path / "secret.key"
    before = path.read_text()
    add_key(tmp_path)
    assert path.read_text().endswith("\n" + before)
    assert len(path.read_text().split()) == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    both = open_vault(tmp_path, {})
    assert both.open("token", "1", sealed) == SECRET
    path.write_text(path.read_text().split()[0])  # the older one is removed
    assert open_vault(tmp_path, {}).open("token", "1", both.rotate(sealed)) == SECRET


def test_a_damaged_ciphertext_is_refused(vault: Vault) -> None:
    for damaged in (b"", b"nonsense", vault.seal("token", "1", SECRET)[:-4]):
        with pytest.raises(VaultError, match="does not open"):
            vault.open("token", "1", damaged)


def test_keys_rotate() -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    sealed = Vault([old]).seal("token", "1", SECRET)
    both = open_vault(Path("/nonexistent"), {"TIEOUT_KEYS": f"{new}, {old}"})
    assert both.open("token", "1", sealed) == SECRET
    rotated = both.rotate(sealed)
    assert Vault([new]).open("token", "1", rotated) == SECRET
    with pytest.raises(VaultError, match="key that sealed it is missing"):
        Vault([new]).open("token", "1", sealed)
    with pytest.raises(VaultError):
        Vault([new]).rotate(sealed)


SECOND_BAD = pytest.param(f"{Fernet.generate_key().decode()},hunter2", id="second")  # named, not by its chance value


@pytest.mark.parametrize("keys", ["", " , ", "hunter2", SECOND_BAD])
def test_bad_keys_are_refused_and_not_shown(keys: str) -> None:
    with pytest.raises(VaultError) as raised:
        open_vault(Path("/nonexistent"), {"TIEOUT_KEYS": keys})
    assert "hunter2" not in str(raised.value)


def test_the_key_file_is_for_its_owner_only(tmp_path: Path) -> None:
    sealed = open_vault(tmp_path / "new", {}).seal("token", "1", SECRET)
    path = tmp_path / "new" / "secret.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert open_vault(tmp_path / "new", {}).open("token", "1", sealed) == SECRET
    path.chmod(0o640)
    with pytest.raises(VaultError, match="chmod 600"):
        open_vault(tmp_path / "new", {})


def test_processes_that_start_together_share_one_key(tmp_path: Path) -> None:
    script = "import sys, pathlib; from storage.vault import open_vault; open_vault(pathlib.Path(sys.argv[1]), {})"
    racers = [subprocess.Popen([sys.executable, "-c", script, tmp_path]) for _ in range(4)]
    assert [racer.wait(30) for racer in racers] == [0] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]
