"""Finished records: taken as done only where they are whole and of the settings that are asked for."""

import json
import shutil
from pathlib import Path

import h5py
import pytest

from hpctools.campaign import DONE, FAILED, CampaignError
from hpctools.config import dump_toml
from hpctools.liquids import finished
from hpctools.liquids.__main__ import main
from hpctools.liquids.design import SHIPPED, cost, observing, read_design
from hpctools.liquids.run import campaign_of
from hpctools.liquids.state import State
from hpctools.stop import COMPLETE, ERROR
from hpctools.world import World

DATA = Path(__file__).parents[2] / "hpctools/data/liquids"
NAME = "WCA-rho1.2-T1-seed1"
STATE = ("--potential", "WCA", "--temperature", "1.0")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with one shipped record, which does not hold its settings."""
    shutil.copy(DATA / "validation" / f"{NAME}.h5", tmp_path)
    return tmp_path


@pytest.fixture
def settled(folder) -> Path:
    """The same, with its settings in the record."""
    with h5py.File(folder / f"{NAME}.h5", "r+") as file:
        file.attrs["state_toml"] = dump_toml(State(potential="WCA", temperature=1.0, quench_time=150.0))
    return folder


@pytest.fixture
def run(capsys):
    """run(folder, *options) -> (exit code, all that is printed) of the state of the record."""

    def run(folder: Path, *options: str) -> tuple[int, str]:
        code = main(["run", "--out", str(folder), *STATE, *options])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def test_a_damaged_record_does_not_count_and_hides_no_other(folder, tmp_path, capsys):
    """One number of S(k), which nothing but the checksum tells."""
    with h5py.File(folder / f"{NAME}.h5", "r+") as file:
        file["structure_factor"][3, 0] += 0.01
    design = tmp_path / "two.toml"
    design.write_text('[[states]]\npotentials = ["WCA"]\ntemperatures = [1.0, 2.0]\n')
    assert [(row.state, "damaged" in row.note) for row in campaign_of(str(design), folder).rows(remarks=True)] == [
        (FAILED, True), ("waiting", False)]
    assert main(["campaign", str(design), "--out", str(folder)]) == ERROR
    assert f"{NAME}.h5: its arrays are damaged" in capsys.readouterr().err


def test_shipped_records_are_those_of_their_designs():
    """All of them; none is ever made again."""
    for designs, place in (((SHIPPED,), "library"), ((DATA / "validation.toml", DATA / "size.toml"), "validation")):
        states = {state.name: state for design in designs for state in read_design(design)}
        paths = sorted((DATA / place).glob("*.h5"))
        assert len(paths) >= 8
        for path in paths:
            finished.check(states[path.stem], path)


def test_the_same_settings_are_complete(folder, settled, run):
    for options in ((), ("--dt", "0.004"), ("--engine", "lammps"), ("--box-length", "10")):
        code, text = run(folder, *options, *(("--quench-time", "150")))
        assert code == COMPLETE and "complete already" in text, text


@pytest.mark.parametrize(("options", "message"), [
    (("--dt", "0.001"), "dt = 0.004, asked for 0.001"),
    (("--production-time", "5000"), "asked for at least 5000"),
    (("--engine", "hoomd"), "engine = lammps, asked for hoomd"),
    (("--temperature", "1.0000001"), "temperature = 1.0, asked for 1.0000001"),
    (("--blocks", "32"), "blocks = 64, asked for 32"),
    (("--dt", "0.001", "--engine", "hoomd"), "dt = 0.004, asked for 0.001; engine = lammps, asked for hoomd"),
])  # fmt: skip
def test_other_settings_are_refused_by_what_an_old_record_tells(folder, run, options, message):
    before = (folder / f"{NAME}.h5").read_bytes()
    code, text = run(folder, *options)
    assert code == ERROR and message in text and "another --out, or move it away" in text, text
    assert text.count("\n") == 1 and (folder / f"{NAME}.h5").read_bytes() == before


@pytest.mark.parametrize(("options", "message"), [
    ((), "quench_time = 150.0, asked for 200.0"),
    (("--quench-time", "150", "--melt-time", "30"), "melt_time = 20.0, asked for 30.0"),
    (("--quench-time", "150", "--melt-temperature", "5"), "melt_temperature = 1.48, asked for 5.0"),
    (("--quench-time", "150", "--production-time", "1600"), "production_time = 1500.0, asked for 1600.0"),
    (("--quench-time", "150", "--temperature-tolerance", "0.01"), "temperature_tolerance = 0.003, asked for 0.01"),
])  # fmt: skip
def test_other_settings_are_refused_by_those_in_the_record(settled, run, options, message):
    code, text = run(settled, *options)
    assert code == ERROR and message in text, text


@pytest.mark.parametrize("size", [0, 5000])
def test_an_empty_or_cut_record_is_not_complete(folder, run, size):
    path = folder / f"{NAME}.h5"
    path.write_bytes(path.read_bytes()[:size])
    code, text = run(folder)
    assert code == ERROR and f"{NAME}.h5" in text and "move it away to run that state" in text, text
    assert path.stat().st_size == size


def test_a_campaign_looks_at_its_records_too(folder, run, tmp_path):
    design = folder / "design.toml"
    design.write_text('[settings]\ndt = 0.001\n[[states]]\npotentials = ["WCA"]\ntemperatures = [1.0, 2.0]')
    campaign = campaign_of(str(design), folder)
    rows = campaign.rows()
    assert rows[0].state == FAILED and "dt = 0.004, asked for 0.001" in rows[0].note
    assert "asked for 0.001" in campaign.table()
    with pytest.raises(CampaignError, match=r"dt = 0\.004, asked for 0\.001"):
        campaign.check_products(World())
    assert main(["campaign", str(design), "--out", str(folder)]) == ERROR
    assert not (folder / "runs").exists()
    design.write_text('[[states]]\npotentials = ["WCA"]\ntemperatures = [1.0]')
    assert main(["campaign", str(design), "--out", str(folder)]) == COMPLETE


def test_estimates_follow_the_seconds_of_the_records(folder):
    design = folder / "design.toml"
    design.write_text('[[states]]\npotentials = ["WCA"]\ntemperatures = [1.0, 2.0]')
    campaign = campaign_of(str(design), folder)
    with h5py.File(folder / f"{NAME}.h5") as file:
        took = file.attrs["wall_seconds"]
    assert campaign.rows()[0].state == DONE
    assert campaign.pace() == pytest.approx((took + observing(1200)) / campaign.tasks[0].cost)
    with h5py.File(folder / f"{NAME}.h5", "r+") as file:
        file.attrs["analysis_seconds"] = 1e4  # as newer records tell
    assert campaign_of(str(design), folder).pace() == pytest.approx((took + 1e4) / campaign.tasks[0].cost)


def test_the_estimate_of_the_analysis_grows_with_the_particles():
    """Pairs of g(r) go as N²: 2 s at N = 1200 and more than half of 36 min at 40,000."""
    assert observing(1200) == pytest.approx(16.5) and 1800 < observing(40_000) < 2600
    large, small = (cost(State(particles=n)) for n in (40_000, 1200))
    assert large - observing(40_000) == pytest.approx((small - observing(1200)) * 40_000 / 1200)


def test_status_tells_the_verdict_of_finished_states(folder, capsys):
    design = folder / "design.toml"
    design.write_text('[[states]]\npotentials = ["WCA"]\ntemperatures = [1.0, 2.0]')
    path = folder / f"{NAME}.h5"
    assert finished.remark(path) == ""
    with h5py.File(path, "r+") as file:
        file.attrs["mean_temperature"] = 1.0051
    assert main(["status", str(design), "--out", str(folder)]) == COMPLETE
    text = capsys.readouterr().out
    assert f"done     100 %  {NAME}" in text and "the mean temperature is 1.005, +0.51 % off" in text
    assert main(["status", str(design), "--out", str(folder), "--json"]) == COMPLETE
    assert "+0.51 % off" in json.loads(capsys.readouterr().out)[0]["note"]


def test_status_tells_of_files_of_other_designs(folder, capsys):
    (folder / "design.toml").write_text("[[states]]\ntemperatures = [2.0]")
    assert main(["status", str(folder / "design.toml"), "--out", str(folder)]) == COMPLETE
    assert f"holds NAME.h5 of states that are not of this design: 1, such as {NAME}" in capsys.readouterr().err
