"""Secrets open only for whom and what they were sealed, and only with their key."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from storage.vault import Vault, VaultError, open_vault

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
    with pytest.raises(VaultError) as raised:
        vault.open(purpose, owner, sealed)
    assert SECRET not in str(raised.value)


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
