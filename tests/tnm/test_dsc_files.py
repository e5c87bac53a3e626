"""DSC files: every format, the programs found in them, the parameters fitted to them, and what is refused."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpctools.tnm import dsc, fit, load
from hpctools.tnm.cycles import heating_scans, turning_points
from hpctools.tnm.measurements import Options
from hpctools.tnm.normalise import normalise
from hpctools.tnm.residuals import LINES
from hpctools.tnm.scans import ScanError

ROOT = Path(__file__).parents[2]
DATA = ROOT / "hpctools" / "data" / "dsc"
KNOWN = json.loads((DATA / "examples.json").read_text())["files"]
RATES = {
    "trios.txt": (0.5, 1, 2, 5, 10, 20),
    "trios.csv": (1, 5, 20),
    "ta_q.txt": (0.5, 2, 10, 20),
    "netzsch.txt": (0.5, 1, 2, 5, 10, 20),
    "stare.txt": (0.5, 1, 2, 5, 10, 20),
}
FACTS = {
    "trios.txt": ("TRIOS", "up", 12.5),
    "trios.csv": ("TRIOS", "up", 12.5),
    "ta_q.txt": ("TA Q", "down", 8.3),
    "netzsch.txt": ("NETZSCH", "up", 9.87),
    "stare.txt": ("STARe", "up", None),
}


@pytest.mark.parametrize("name", RATES)
def test_formats(name):
    record = dsc.read(DATA / name)
    form, exotherm, mass = FACTS[name]
    assert (record.form, record.exotherm) == (form, exotherm)
    if mass is not None:
        assert record.mass == pytest.approx(mass)
    assert record.seconds[0] == 0
    assert np.all(np.diff(record.seconds) > 0)
    found = heating_scans(record)
    assert len(found) == len(RATES[name])
    for one, rate in zip(found, RATES[name], strict=True):
        cooling, hold = one.history
        assert -cooling.rate == pytest.approx(rate, rel=1e-3)
        assert one.rate == pytest.approx(10.0, rel=1e-3)
        assert (hold.rate, hold.end) == (0.0, cooling.end)
        assert hold.minutes == pytest.approx(2.0, abs=0.06)
        assert one.start > KNOWN_T100[name] + 20 > one.history[0].end


KNOWN_T100 = {
    name: known["dh"] / 8.314462618 / (np.log(100) - known["ln_A"]) for name, known in KNOWN.items()
}


@pytest.mark.parametrize("name", KNOWN)
def test_fit_of_each_format(name):
    known = KNOWN[name]
    scans = load(sorted(DATA.glob(name)))
    result = fit(scans, LINES)
    truth = np.array([known[key] for key in ("ln_A", "dh", "x", "beta")])
    assert result.converged
    assert np.all(np.abs(result.parameters - truth) < 4 * result.errors)
    assert result.errors[1] < 4e3
    assert result.chi2 < 1.5
    # 0.5 % of noise, correlated over 1 K
    assert result.noise.sigma == pytest.approx(0.005, rel=0.2)
    assert result.noise.length == pytest.approx(1.0, rel=0.3)


def test_same_numbers_by_every_way(tmp_path):
    """One measurement as TRIOS with decimal commas, as CSV with points, with semicolons, in kelvin, turned round."""
    record = dsc.read(DATA / "trios.csv")
    minutes = record.seconds / 60
    head = "time [min];temperature [°C];heat flow [W/g]\n"
    rows = [f"{a:.4f};{b:.3f};{c:.6f}" for a, b, c in zip(minutes, record.celsius, record.signal, strict=True)]
    variants = {
        "point.csv": "# exotherm: up\n" + head + "\n".join(rows),
        "comma.csv": "# exotherm: up\n" + head + "\n".join(row.replace(".", ",") for row in rows),
        "tab.txt": "# exotherm: up\n" + (head + "\n".join(rows)).replace(";", "\t"),
        "bare.csv": "\n".join(";".join([*row.split(";")[1:]]) for row in rows),
        "kelvin.csv": "Time;Temperature;Heat Flow\ns;K;mW\n"
        + "\n".join(f"{60 * a:.2f};{b + 273.15:.3f};{-c:.6f}"
                    for a, b, c in zip(minutes, record.celsius, record.signal, strict=True)),
    }  # fmt: skip
    wanted = load([DATA / "trios.csv"])
    for name, text in variants.items():
        path = tmp_path / name
        path.write_bytes(text.encode("latin-1" if name == "comma.csv" else "utf-8"))
        if name == "bare.csv":
            read = dsc.read(path)
            assert read.seconds is None
            np.testing.assert_allclose(read.signal, record.signal, atol=1e-6)
            continue
        found = load([path])
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a.temperature, b.temperature, atol=2e-3)
            np.testing.assert_allclose(a.cpn, b.cpn, atol=1e-3)
            assert a.cooling_rate == pytest.approx(b.cooling_rate, rel=1e-3)


def test_holds_within_a_cooling():
    """Annealing on the way down, and a scan whose rates are overruled."""
    minutes, kelvin = [0.0], [500.0]

    def ramp(rate, end):
        n = int(abs(end - kelvin[-1]) / 0.5)
        t = abs(end - kelvin[-1]) / rate
        minutes.extend(minutes[-1] + np.linspace(0, t, n + 1)[1:])
        kelvin.extend(np.linspace(kelvin[-1], end, n + 1)[1:])

    def hold(length):
        minutes.extend(minutes[-1] + np.linspace(0, length, 40)[1:])
        kelvin.extend([kelvin[-1]] * 39)

    ramp(20, 420)
    hold(60)
    ramp(20, 350)
    hold(3)
    ramp(10, 500)
    record = dsc.Record("run", "CSV", np.array(kelvin) - 273.15, np.array(kelvin), 60 * np.array(minutes))
    assert len(turning_points(np.array(kelvin))) == 3
    (one,) = heating_scans(record)
    rates = [segment.rate for segment in one.history]
    assert rates == pytest.approx([-20, 0, -20, 0], rel=0.03)
    assert one.history[1].end == pytest.approx(420, abs=1.0)
    assert one.history[1].minutes == pytest.approx(60, rel=0.02)
    assert one.history[3].minutes == pytest.approx(3, abs=0.2)
    (one,) = heating_scans(record, [15.0], 9.0)
    assert (one.rate, one.history[-2].rate) == (9.0, -15.0)


def test_whole_history():
    plain = heating_scans(dsc.read(DATA / "trios.csv"))
    whole = heating_scans(dsc.read(DATA / "trios.csv"), whole_history=True)
    assert whole[0].history == plain[0].history
    assert len(whole[2].history) == 3 * 2 + 2 * 2
    assert whole[2].history[-2:] == plain[2].history
    # the liquid at the top forgets: the cycles before change nothing
    results = [fit(load([DATA / "trios.csv"], Options(whole_history=w)), LINES) for w in (False, True)]
    assert np.all(np.abs(results[1].parameters - results[0].parameters) < 0.3 * results[0].errors)


# --- what is refused -------------------------------------------------------------------------------------------------


def heat_flow(step=1.0, width=4.0, slope=0.004, noise=0.004, n=500):
    """A made-up scan: temperatures (K), signal with a step of a transition at 350 K."""
    kelvin = np.linspace(290, 420, n)
    signal = 2 + slope * (kelvin - 350) + step / (1 + np.exp(-(kelvin - 350) / width * 4))
    signal = signal + 0.8 * step * np.exp(-(((kelvin - 356) / 3) ** 2))
    return kelvin, signal + noise * np.random.default_rng(0).standard_normal(n)


def bump(kelvin, at, height, width=3.0):
    return height * np.exp(-(((kelvin - at) / width) ** 2))


def test_windows_found():
    kelvin, signal = heat_flow()
    made = normalise(kelvin, signal, "one")
    assert 320 < made.glass[1] < 348 < 358 < made.liquid[0] < 390
    assert np.abs(made.cpn[kelvin < 335]).max() < 0.03
    assert np.abs(made.cpn[kelvin > 385] - 1).max() < 0.03
    # sign, mass and calibration cancel
    np.testing.assert_allclose(normalise(kelvin, -7 * signal, "one").cpn, made.cpn, atol=1e-9)
    given = normalise(kelvin, signal, "one", (300, 335), (375, 415))
    np.testing.assert_allclose(given.cpn, made.cpn, atol=0.03)


@pytest.mark.parametrize("noise", [0.0, 0.004, 0.05])
def test_no_transition(noise):
    kelvin = np.linspace(290, 420, 500)
    signal = 2 + 0.004 * (kelvin - 350) + noise * np.random.default_rng(1).standard_normal(500)
    with pytest.raises(ScanError, match=r"^one: no glass transition"):
        normalise(kelvin, signal, "one")


def test_fully_crystalline():
    kelvin, signal = heat_flow(step=0.0)
    with pytest.raises(ScanError, match=r"^one: no glass transition.*does the sample crystallise or melt"):
        normalise(kelvin, signal + bump(kelvin, 370, 5.0), "one")


def test_cold_crystallisation():
    kelvin, signal = heat_flow()
    with pytest.raises(ScanError, match=r"^one: the sample crystallises \(exotherm .* near 1?\d\d\.\d °C"):
        normalise(kelvin, signal + bump(kelvin, 382, -1.5) + bump(kelvin, 400, 1.5), "one")
    with pytest.raises(ScanError, match=r"^one: the sample melts or relaxes twice"):
        normalise(kelvin, signal + bump(kelvin, 392, 1.0), "one")


def test_sign():
    kelvin, signal = heat_flow()
    assert normalise(kelvin, signal, "one", exotherm="down").cpn[-1] == pytest.approx(1, abs=0.02)
    with pytest.raises(ScanError, match=r"^one: .*wrong sign .give --exotherm down.*or the sample crystallises"):
        normalise(kelvin, signal, "one", exotherm="up")
    with pytest.raises(ScanError, match=r"wrong sign .give --exotherm up"):
        normalise(kelvin, -signal, "one", exotherm="down")


@pytest.mark.parametrize(("low", "high", "word"), [(290, 354, "liquid"), (349, 420, "glass")])
def test_ends_within_the_transition(low, high, word):
    kelvin, signal = heat_flow(noise=0.001)
    part = (kelvin > low) & (kelvin < high)
    with pytest.raises(ScanError, match=rf"^one: .*({word}|no glass transition|CpN)"):
        normalise(kelvin[part], signal[part], "one")


def test_windows_without_points():
    kelvin, signal = heat_flow()
    with pytest.raises(ScanError, match=r"^one: the glass window -23\.1 … 6\.9 °C holds 0 points"):
        normalise(kelvin, signal, "one", (250, 280), (380, 410))
    with pytest.raises(ScanError, match="above the liquid's start"):
        normalise(kelvin, signal, "one", (300, 390), (380, 410))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("temperature,heat flow\n25,31,0,123\n25,41,0,124\n", r"line 2 has 4 fields between commas, expected 2"),
        ("25,31,0,123\n25,41,0,124\n", "four whole numbers between commas"),
        ("temperature;heat flow\n25,3;2,5\n1.026,1;2,6\n", "line 3: '1.026,1' has both points and commas"),
        ("temperature;heat flow\n" + "\n".join(f"{25310 + k};0,1{k}" for k in range(30)), "decimal comma"),
        ("no numbers at all\n", "no rows of numbers"),
        ("", "is empty"),
        ("temperature,colour\n" + "1,2\n" * 30, "columns temperature, colour; expected"),
        ("temperature [°F],heat flow\n" + "1,2\n" * 30, "°F"),
        ("1.0,2.0\n2.0,3.0\n", "2 rows of numbers; expected at least 20"),
        ("\n".join(f"{20 + k}.0,0.5" for k in range(30)), "the signal is 0.5 in all rows"),
    ],
)
def test_text_refused(tmp_path, text, message):
    path = tmp_path / "scan.csv"
    path.write_text(text)
    with pytest.raises(dsc.FileError, match=message) as error:
        dsc.read(path)
    assert str(error.value).startswith(str(path))


def test_files_refused(tmp_path):
    with pytest.raises(dsc.FileError, match=r"nothing\.txt: cannot be read"):
        dsc.read(tmp_path / "nothing.txt")
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(dsc.FileError, match=r"binary file|not a number|no rows"):
        dsc.read(tmp_path / "binary")
    netzsch = (DATA / "netzsch.txt").read_text(encoding="latin-1")
    (tmp_path / "n.txt").write_text(netzsch.replace(";", ",").replace("SEMICOLON", "COMMA"), encoding="latin-1")
    with pytest.raises(dsc.FileError, match="decimal commas and commas between columns"):
        dsc.read(tmp_path / "n.txt")


def test_netzsch_dialects(tmp_path):
    """Separators behind colons, a lost degree sign, the heating rate in #RANGE where there is no time."""
    kelvin, signal = heat_flow()
    rows = "\n".join(f"{t - 273.15:.3f},{-y:.6f}" for t, y in zip(kelvin, signal, strict=True))
    path = tmp_path / "one.csv"
    path.write_text(f"#EXO:,1\n#SAMPLE MASS /mg:,3\n#RANGE:,16°C/20,0(K/min)/147°C\n##Temp./>C,DSC/(mW/mg)\n{rows}\n")
    record = dsc.read(path)
    assert (record.form, record.exotherm, record.mass, record.seconds) == ("NETZSCH", "up", 3.0, None)
    (one,) = load([path], Options(cooling_rates=(5.0,)))
    assert (one.heating_rate, one.cooling_rate) == (20.0, 5.0)
    path.write_text(path.read_text().replace("#EXO:,1", "#EXO:,-1"))
    with pytest.raises(ScanError, match="wrong sign"):
        load([path], Options(cooling_rates=(5.0,)))


def test_rates_must_be_known(tmp_path):
    text = (DATA / "plain_5.csv").read_text()
    path = tmp_path / "scan.csv"
    path.write_text("\n".join(line for line in text.splitlines() if not line.startswith("#")))
    with pytest.raises(ScanError, match=r"scan\.csv: has no column of time: the cooling rate"):
        load([path])
    (one,) = load([path], Options(cooling_rates=(5.0,), heating_rate=10.0))
    assert one.cooling_rate == 5.0
    with pytest.raises(ScanError, match="1 heating scans found, but 2 cooling rates"):
        load([path], Options(cooling_rates=(5.0, 1.0), heating_rate=10.0))
    with pytest.raises(ScanError, match="4 heating scans found, but 2"):
        load([DATA / "ta_q.txt"], Options(cooling_rates=(5.0, 1.0)))


# --- commands --------------------------------------------------------------------------------------------------------


def command(*arguments, cwd):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HPCTOOLS_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "hpctools.tnm", *map(str, arguments)], cwd=cwd, env=environment, capture_output=True,
        text=True, timeout=200,
    )  # fmt: skip


def test_fit_command(tmp_path):
    done = command("fit", DATA / "ta_q.txt", "--lag", "--out", "new/as", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "| Δh* |" in done.stdout
    assert "| lag |" in done.stdout
    found = json.loads((tmp_path / "new" / "as.json").read_text())
    known = KNOWN["ta_q.txt"]
    for key in ("ln_A", "dh", "x", "beta"):
        value, error = (found["parameters"][key][name] for name in ("value", "error"))
        assert abs(value - known[key]) < 4 * error
    correlation = np.array(found["correlation"])
    np.testing.assert_allclose(np.diag(correlation), 1.0)
    np.testing.assert_allclose(correlation, correlation.T)
    assert len(found["scans"]) == 4
    assert found["scans"][0]["history"][0]["rate"] == pytest.approx(-0.5, rel=1e-3)
    from matplotlib.image import imread

    picture = imread(tmp_path / "new" / "as.png")
    assert min(picture.shape[:2]) > 600
    assert picture[..., :3].std() > 0.03
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["as.json", "as.png"]


def test_predict_command(tmp_path):
    done = command("predict", DATA / "trios.txt", "--out", "first", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "first.json").read_text())
    known = KNOWN["trios.txt"]
    assert found["parameters"]["dh"] == pytest.approx(known["dh"], rel=0.35)
    assert found["parameters"]["beta"] == pytest.approx(known["beta"], abs=0.2)


def test_command_refuses_in_one_line(tmp_path):
    done = command("fit", DATA / "plain_5.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "too few scans for Δh*" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
    assert command("fit", cwd=tmp_path).returncode == 2
    for wrong in (("--noise", "-1"), ("--dh", "-3"), ("--cooling-rate", "-1"), ("--start", "-79", "318", "2", "0.7")):
        done = command("fit", DATA / "plain_5.csv", *wrong, cwd=tmp_path)
        assert done.returncode == 2
        assert wrong[0] in done.stderr and done.stderr.count("\n") == 1
    done = command("fit", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "--cooling-rate" in done.stdout
