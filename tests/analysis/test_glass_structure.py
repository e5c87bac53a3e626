"""The table of glass structure, as a user runs it, on glasses too hot and small to be good."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpctools.glasses import record
from hpctools.glasses.__main__ import main

ROOT = Path(__file__).parents[2]
DESIGN = """
protocol = "fast"
disorder_time = 0.2
melt_time = 0.5
melt_temperature = 3000.0
rate = {rate}
hold_time = 0.2
relax_time = 0.5
production_time = 0.5
frame_time = 0.05
sample_time = 0.1
atoms = 60

[[glass]]
composition = "SiO2"
seeds = [1, 2]

[[glass]]
composition = "60SiO2-20B2O3-20Na2O"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Silica, two seeds, and a borosilicate at one cooling rate; silica and it again at another."""
    place = tmp_path_factory.mktemp("glasses")
    for name, rate in (("a", 2700.0), ("b", 1350.0)):
        (place / f"{name}.toml").write_text(DESIGN.format(rate=rate))
        assert main(["campaign", str(place / f"{name}.toml"), "--out", str(place / name)]) == 0
    return place


def script(*words):
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, ROOT / "analysis/glass_structure.py", *map(str, words)], env=environ,
                          capture_output=True, text=True, timeout=120)


def test_table_and_figure(folder, tmp_path):
    done = script(folder / "a", folder / "b", "--out", tmp_path / "f.png", "--table", tmp_path / "t.csv")
    assert done.returncode == 0, done.stderr
    assert "6 records of 2 compositions" in done.stdout and (tmp_path / "f.png").stat().st_size > 20_000
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(row["glass"], row["quantity"]): row for row in rows if row["passes"]}
    assert {row["field"] for row in rows} == {"bmp-shrm-smooth"}
    # a number of the table by hand
    seeds = [record.read(path) for path in sorted((folder / "a").glob("SiO2*.h5"))]
    numbers = [r.coordination("Si") for r in seeds]
    row = found["SiO2", "oxygens of Si"]
    assert float(row["simulated"]) == pytest.approx(np.mean(numbers))
    assert float(row["error"]) == pytest.approx(abs(numbers[0] - numbers[1]) / 2)
    assert row["passes"] == str(int(3.95 <= np.mean(numbers) <= 4.05)) and row["error_of"] == "seeds"
    # of one seed the error is over the parts of its run, and the table says so
    one = record.read(next((folder / "a").glob("60SiO2*.h5")))
    row = found["60SiO2-20B2O3-20Na2O", "oxygens of Si"]
    assert float(row["error"]) == pytest.approx(one.block_error(lambda r: r.coordination("Si")))
    assert (row["error_of"], row["of"]) == ("blocks", "1 seed")
    assert next("| blocks " in line for line in done.stdout.splitlines() if "oxygens of Si" in line and "60Si" in line)
    assert "± over blocks: over the parts of one glass's production run; it says nothing of the scatter" in done.stdout
    row = found["60SiO2-20B2O3-20Na2O", "Si-O peak [Å]"]
    assert (row["error"], row["error_of"]) == ("nan", ""), "peaks are not kept by parts"
    # rows that fail are marked
    marked = sum("| FAILS |" in line for line in done.stdout.splitlines())
    assert marked == sum(row["passes"] == "0" for row in found.values())
    assert f"{len(found) - marked} of {len(found)} rows pass" in done.stdout
    # the other rate has the limits of the first
    slow = next(row for row in rows if row["quantity"].startswith("density [g/cm³], 1350") and row["glass"] == "SiO2")
    assert slow["limits"] == "2.09 to 2.31" and slow["passes"] == str(int(2.09 <= float(slow["simulated"]) <= 2.31))
    assert any(row["quantity"].startswith("N4 at R = ") for row in rows)
    assert any(row["quantity"] == "RMS of N4 to the model" and not row["passes"] for row in rows), "one R is too few"


def test_rows_judge_one_field(tmp_path):
    """Of the shipped records: silica of one field, not the mean of two; each seed once."""
    copies = tmp_path / "copies"
    copies.mkdir()
    library = ROOT / "hpctools/data/glasses/library"
    for name in ("SiO2_s1", "SiO2_bmp-shrm_s1", "40SiO2-40B2O3-20Na2O_s1", "40SiO2-40B2O3-20Na2O_bmp-shrm_s1",
                 "57.1SiO2-28.6B2O3-14.3Na2O_s1"):
        (copies / f"{name}.h5").write_bytes((library / f"{name}.h5").read_bytes())
    (copies / "again.h5").write_bytes((library / "SiO2_s1.h5").read_bytes())
    for words, field, boron in (((), "bmp-shrm-smooth", "2 glasses"), (("--field", "bmp-shrm"), "bmp-shrm", "1 seed")):
        done = script(copies, *words, "--out", tmp_path / "f.png", "--table", tmp_path / "t.csv")
        assert done.returncode == 0, done.stderr
        with open(tmp_path / "t.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        own = "" if field == "bmp-shrm-smooth" else "_bmp-shrm"
        density = next(row for row in rows if row["quantity"] == "density [g/cm³]" and row["glass"] == "SiO2")
        one = record.read(library / f"SiO2{own}_s1.h5")
        assert float(density["simulated"]) == pytest.approx(one.attributes["density_g_cm3"], rel=1e-9)
        assert density["field"] == field and density["of"] == "1 seed", "a copy is no second seed"
        assert next(row for row in rows if row["quantity"] == "mean B-O [Å]")["of"] == boron
        assert len([row for row in rows if row["quantity"].startswith("N4 at")]) == (2 if not words else 1)
        assert {row["field"] for row in rows if not row["limits"]} >= {"bmp-shrm", "bmp-shrm-smooth"}, "compared"
        assert "again.h5: the same glass and seed as" in done.stdout and "only compared: " in done.stdout
    done = script(copies, "--field", "bks", "--out", tmp_path / "f.png")
    assert done.returncode == 2 and "found records of bmp-shrm, bmp-shrm-smooth" in done.stderr


def test_neutron_factor_of_silica(folder, monkeypatch):
    """The formula by hand in one bin, and 1 at large q."""
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    from glass_quantities import Q_BIN, neutron_factor

    one = record.read(next((folder / "a").glob("SiO2*.h5")))
    q, s = neutron_factor(one)
    index = int(q[20] / Q_BIN)
    si_si, si_o, o_o = one.data["structure_factor"][:, index]
    b_si, b_o = 4.1491, 5.803
    expected = (b_si**2 * si_si / 3 + 2 * b_si * b_o * 2**0.5 / 3 * si_o + b_o**2 * o_o * 2 / 3) / (
        b_si**2 / 3 + b_o**2 * 2 / 3)
    assert s[20] == pytest.approx(expected, rel=1e-5)
    assert s[q > 6].mean() == pytest.approx(1.0, abs=0.1)


def test_a_peak_of_s_lies_where_it_is(monkeypatch):
    """In bins with wave vectors that become more as q², with noise of 1/sqrt of their number."""
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    from glass_quantities import Q_BIN, smoothed

    q, fine = (np.arange(3, 60) + 0.5) * Q_BIN, np.arange(1.0, 2.2, 0.005)
    vectors = 30 * q**2
    s = 0.4 + np.exp(-0.5 * ((q - 1.52) / 0.3) ** 2)
    assert fine[np.argmax(smoothed(fine, q, s, vectors))] == pytest.approx(1.52, abs=0.006)
    rng = np.random.default_rng(0)
    found = [fine[np.argmax(smoothed(fine, q, s * (1 + rng.normal(0, vectors**-0.5)), vectors))] for _ in range(400)]
    assert np.mean(found) == pytest.approx(1.52, abs=0.01)
    np.testing.assert_allclose(smoothed(fine, q, 3 - q, vectors), 3 - fine, rtol=1e-12)


def test_a_mean_hides_no_glass(monkeypatch):
    """One glass outside by more than twice its error, or one that cannot be measured, fails the row of all."""
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    import glass_structure

    check = glass_structure.Check("x", lambda record: record, 1.0, 2.0, "", element="Si")

    def glass(name, *values):
        records = tuple(Value(value) for value in values)
        return glass_structure.Group(name, "f", 25.0, 600, 2.0, {}, records)

    class Value(float):
        def listed(self, name):
            return {"Si": 1}

        def block_error(self, value):
            return 0.5

    monkeypatch.setattr(glass_structure, "CHECKS", (check,))
    inside = glass("a", 1.4, 1.5)
    for other, passes in ((glass("b", 1.9, 2.2), True), (glass("b", 2.19, 2.2), False), (glass("b", 2.1), False),
                          (glass("b", np.nan), False)):
        (row,) = glass_structure.check_rows([inside, other])
        assert row.passes == passes and row.number == "2 glasses" + ", 1 outside" * (not passes), row
    (row,) = glass_structure.check_rows([glass("b", np.nan)])
    assert row.passes is False, "a row that cannot be measured does not vanish"


def test_an_empty_folder_is_named(tmp_path):
    done = script(tmp_path)
    assert done.returncode == 2 and "no records (*.h5)" in done.stderr and done.stderr.count("\n") == 1
