"""A protocol so short that a small glass takes seconds, and one such glass."""

from pathlib import Path

import pytest

from hpctools.glasses import quench, record
from hpctools.glasses.__main__ import main
from hpctools.glasses.job import QuenchJob, make
from hpctools.stop import Stop

SHORT = {"disorder_time": 0.2, "melt_time": 0.5, "melt_temperature": 3000.0, "rate": 2700.0, "hold_time": 0.2,
         "relax_time": 0.5, "production_time": 0.5, "frame_time": 0.05, "sample_time": 0.1, "restart_time": 0.5,
         "atoms": 60}  # fmt: skip
"""3 ps in all, of which the quench takes 1."""


@pytest.fixture
def short() -> dict[str, float]:
    """Settings of the short protocol."""
    return dict(SHORT)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[QuenchJob, Path]:
    """Job and folder of a short glass of four oxides that ran in one go; record.h5 is there."""
    job = make("fast", {**SHORT, "composition": "54SiO2-18B2O3-18Na2O-10ZnO", "atoms": 90}, "test")
    folder = tmp_path_factory.mktemp("glass") / "run"
    run = quench.Run(job, folder)
    run.open()
    with Stop() as stop:
        assert quench.work(run, stop, lambda step: None)
    run.close()
    record.finish(run, folder / "record.h5", ["test"])
    return job, folder


LEARNED = ("SiO2", "80SiO2-20BaO", "80SiO2-20ZnO", "60SiO2-20B2O3-20Na2O", "50SiO2-25B2O3-25Na2O")


@pytest.fixture(scope="session")
def short_glasses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of records of `LEARNED`, melted and quenched for 3 ps; silica and a borosilicate with two seeds."""
    folder = tmp_path_factory.mktemp("learned")
    design = folder / "design.toml"
    lines = ['protocol = "fast"', *(f"{name} = {value}" for name, value in {**SHORT, "atoms": 70}.items())]
    for glass in LEARNED:
        lines += ["[[glass]]", f'composition = "{glass}"', f"seeds = {[1, 2] if glass in LEARNED[::3] else [1]}"]
    design.write_text("\n".join(lines))
    assert main(["campaign", str(design), "--out", str(folder)]) == 0
    return folder
