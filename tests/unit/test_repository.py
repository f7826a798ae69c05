"""What is committed works anywhere: no machine's paths, no package index, no file that has outgrown its noun."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = tuple(f"requirements{use}.lock" for use in ("", "-test", "-bench", "-mutation", "-notebooks", "-ray"))
LINES_MAX = 500

# A letter in brackets matches only itself, so that these patterns do not find themselves.
FOREIGN = re.compile(
    "|".join(
        (
            r"(?<![\w.])/wor[k]/",  # where a checkout happened to be
            r"(?<![\w.])/roo[t]/",
            r"(?<![\w.])/hom[e]/\w",
            r"(?<![\w.])/User[s]/\w",
            r"(?<![\w.])/op[t]/\w",
            r"pyp[i]\.(org|io)",  # package registries, and options that name one
            r"pythonhoste[d]",
            r"npmj[s]\.(org|com)",
            r"artifactor[y]",
            r"devp[i]\b",
            r"--(extra-)?inde[x]-url",
            r"find-link[s]",
        )
    ),
    re.IGNORECASE,
)


def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is not a git checkout")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in names.split("\0") if name and (path := ROOT / name).is_file()]


def test_nothing_names_a_machine_or_a_registry() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in tracked()
        for number, line in enumerate(path.read_text("utf-8", "ignore").splitlines(), 1)
        if (match := FOREIGN.search(line))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", LOCKS)
def test_locks_pin_by_hash_and_name_no_index(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert "://" not in lock
    pins = re.findall(r"^[^\s#].*$", lock, re.MULTILINE)
    assert pins
    unpinned = [pin for pin in pins if not re.match(r"[\w.\[\]-]+==[^\s;]+( ;[^\\]+)? \\$", pin)]
    assert not unpinned, "every line is name==version with hashes"
    assert lock.count("--hash=sha256:") >= len(pins)


def test_the_running_lock_is_part_of_the_others() -> None:
    running, *others = (
        set(re.findall(r"^([^\s#]\S*==\S+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS
    )
    assert all(running < other for other in others)


def test_python_files_stay_small() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in tracked() if path.suffix == ".py"}
    assert not {str(path.relative_to(ROOT)): length for path, length in lengths.items() if length > LINES_MAX}


def test_hooks_run_only_what_is_installed() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    assert re.findall(r"repo: (\S+)", hooks) == ["local"]
    assert set(re.findall(r"language: (\S+)", hooks)) == {"system"}


def test_foreign_names_are_found() -> None:
    for foreign in ("cd /wor" + "k/main", "index=https://pyp" + "i.org/simple", "--inde" + "x-url x", "/hom" + "e/me"):
        assert FOREIGN.search(foreign)
    assert not FOREIGN.search("see tests/work/notes and https://example.com/root/")
