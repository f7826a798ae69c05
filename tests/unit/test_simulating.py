"""`tieout simulate` runs the simulator where there is one, and says plainly where there is none."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sync import simulating
from sync.cli import main
from sync.errors import Rejected


def test_without_the_source_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Rejected):
        simulating.simulate(["--seeds", "1"], tmp_path)
    monkeypatch.setattr(simulating.simulate, "__defaults__", (tmp_path,))
    done = CliRunner().invoke(main, ["simulate", "--seeds", "1"])
    assert done.exit_code == 1
    assert "The simulator is not part of an installed Tieout. Get Tieout's source" in done.output


def test_a_seed_is_run_and_told_as_json(capfd: pytest.CaptureFixture[str]) -> None:
    assert simulating.simulate(["--seeds", "1", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["runs"], told["failed"]) == (1, [])
    assert told["reached"]["commit"] > 50
