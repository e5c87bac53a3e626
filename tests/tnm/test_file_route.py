"""From files to parameters as a user goes: error bars, what is remarked, what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpctools.tnm import Noise, dsc, fit, load
from hpctools.tnm.curves import Curves
from hpctools.tnm.measurements import Options
from hpctools.tnm.model import reference_temperature
from hpctools.tnm.normalise import normalise
from hpctools.tnm.residuals import LINES, Problem, noise_of
from hpctools.tnm.scans import ScanError, scan

DATA = Path(__file__).parents[2] / "hpctools" / "data" / "dsc"
BROAD = np.array([-79.2, 318e3, 0.7, 0.4])
SHARP = np.array([-250.0, 800e3, 0.4, 0.8])


def signals(parameters, below, above, rates=(0.5, 2.0, 20.0), random=None, noise=0.0):
    """Scans of a signal with rising lines of glass and liquid, normalised as those of a file are."""
    t100 = float(reference_temperature(*parameters[:2]))
    kelvin = np.arange(t100 - below, t100 + above, 0.5)
    blank = [scan(kelvin, 0 * kelvin, q, start=kelvin[-1], low=kelvin[0], name=f"after {q:g} K/min") for q in rates]
    curves = Curves(blank)
    cpn = curves.evaluate(parameters[None], resolution=2.0)[0]
    out = []
    for k, one in enumerate(blank):
        signal = 3 + 3e-3 * (kelvin - t100) + (1 - 5e-4 * (kelvin - t100)) * cpn[curves.part(k)]
        if random is not None:
            signal = signal + noise * random.standard_normal(kelvin.size)
        made = normalise(kelvin, signal, one.name)
        out.append(replace(one, cpn=made.cpn, noise=made.noise, step=made.step))
    return out


def test_loaded_scans_bring_their_lines():
    """fit(load(...)) is what the command does; with lines that are trusted the same scans give something else."""
    scans = load([DATA / "trios.txt"])
    result = fit(scans)
    assert set(result.instrument) == set(LINES)
    assert result.flags == ()
    known = np.array([-79.21, 318_444, 0.57, 0.71])
    assert np.all(np.abs(result.parameters - known) < 3 * result.errors)
    assert set(fit(scans, ("lag",)).instrument) == {*LINES, "lag"}
    trusted = fit(scans, lines=False)
    assert trusted.instrument == {}
    assert abs(trusted.parameters[1] - known[1]) > 5 * trusted.errors[1]
    assert any("poor fit" in flag for flag in trusted.flags)


def test_wrong_lines_cost_nothing():
    """Lines drawn into a broad transition are wrong by 10 to 20 % of the step; without noise the fit knows them all."""
    scans = signals(BROAD, 80, 70)
    assert max(np.abs(one.cpn).min() for one in scans) < 0.01
    result = fit(scans)
    assert np.abs(result.instrument["gain"][0]).max() > 0.02
    assert abs(result.parameters[1] - BROAD[1]) < 200
    assert np.abs(result.parameters[2:] - BROAD[2:]).max() < 5e-4


def test_scans_that_end_within_the_transition():
    result = fit(signals(BROAD, 40, 25))
    assert any("it ends within the transition" in flag for flag in result.flags)
    assert not any("it ends within" in flag for flag in fit(signals(BROAD, 140, 110)).flags)


def test_noise_is_not_taken_up(made):
    """Lines take up slow noise: its size and length are those that it has all the same."""
    noise, parameters = Noise(0.01, 3.0), np.array([-79.21, 318_444, 0.57, 0.71])
    scans = [replace(s, step=np.ones_like(s.cpn)) for s in made.clean(parameters[None])[0]]
    found = []
    for seed in range(8):
        problem = Problem(made.noisy(scans, noise, np.random.default_rng(seed)))
        found.append(noise_of(problem, problem.initial(parameters)))
    length, sigma = np.mean([n.length for n in found]), np.mean([n.sigma for n in found])
    assert length == pytest.approx(3.0, rel=0.12)
    assert sigma == pytest.approx(0.01, rel=0.08)


def test_start_up_is_left_out():
    """Six kelvin of heating, in which the instrument settles, or less where the scan is short."""
    records = {name: load([DATA / name])[0] for name in ("trios.txt", "netzsch.txt")}
    for one in records.values():
        assert 5.5 < one.temperature[0] - one.history[-1].end < 6.6


def test_what_no_model_describes():
    scans = load([DATA / "trios.csv"])
    swapped = [replace(a, history=b.history) for a, b in zip(scans, scans[::-1], strict=True)]
    result = fit(swapped)
    assert not result.described
    assert result.flags[0].startswith("the model does not describe these scans")
    assert fit(scans).described


def test_sharp_peaks_are_remarked():
    result = fit(signals(SHARP, 40, 25))
    assert any(flag.startswith("CpN_max 6.") and "above 6" in flag for flag in result.flags)


def test_stray_instrument():
    scans = [replace(s, cpn=1.06 * s.cpn) for s in load([DATA / "trios.csv"])]
    result = fit(scans, {"gain": 0.02}, lines=False)
    assert any(": gain 0.0" in flag and "beyond 2 standard deviations of its prior" in flag for flag in result.flags)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"noise": 0.0}, "noise: found 0; expected a positive"),
        ({"noise": -1.0}, "noise: found -1; expected a positive"),
        ({"dh": -5e3}, "dh: found -5000 J/mol; expected"),
        ({"dh": 4.5e8}, "dh: found 4.5e"),
        ({"start": (-79.0, 3.0, 3.0, 4.0)}, "start: found"),
        ({"start": (-79.0, 4.5e8, 0.5, 0.5)}, "start: found"),
        ({"nuisance": {"gain": 0.0}}, "nuisance: gain has a prior of"),
        ({"nuisance": "lag"}, "nuisance: found 'lag'; expected names in a tuple"),
    ],
)
def test_numbers_that_cannot_be(options, words):
    with pytest.raises(ScanError) as error:
        fit(load([DATA / "trios.csv"]), **options)
    assert str(error.value).startswith(words)


def test_no_scans():
    with pytest.raises(ScanError, match=r"scans: found int; expected what hpctools\.tnm\.scan or load gives"):
        fit([1, 2])


# --- files -----------------------------------------------------------------------------------------------------------


def write(path, record, head="time [min],temperature [°C],heat flow [W/g]\n", order="tcs", kelvin=0.0):
    """A record as plain CSV; order of time, °C, signal."""
    columns = {"t": record.seconds / 60, "c": record.celsius + kelvin, "s": record.signal}
    np.savetxt(path, np.column_stack([columns[k] for k in order]), "%.6f", ",", header=head.strip(), comments="")
    return path


def test_jitter_and_overshoot_in_the_hold(tmp_path):
    """The highest reading lies anywhere in the hold at the top; its rows are none of the scan."""
    record = dsc.read(DATA / "trios.csv")
    wanted = load([DATA / "trios.csv"])
    top = record.celsius.max()
    held = record.celsius > top - 1e-6
    variants = {"overshoot": np.where(held, 0.3 * np.sin(np.arange(held.size)), 0.0)}
    for size in (0.002, 0.02):
        variants[f"jitter of {size}"] = size * np.random.default_rng(0).standard_normal(held.size)
    for name, extra in variants.items():
        path = write(tmp_path / "run.csv", replace(record, celsius=record.celsius + extra, signal=-record.signal))
        found = load([path])
        assert len(found) == len(wanted), name
        for a, b in zip(found, wanted, strict=True):
            assert top + 273.15 - 1.6 < a.temperature[-1] < top + 273.2, name
            inside = (b.temperature > 440) & (b.temperature < 490)
            assert np.abs(np.interp(b.temperature, a.temperature, a.cpn) - b.cpn)[inside].max() < 0.05, name
            assert a.heating_rate == pytest.approx(10, rel=2e-3)


@pytest.mark.parametrize(
    ("head", "order"),
    [
        ("t [min],T [°C],heat flow [mW]", "tcs"),
        ("t/min,Ts/°C,DSC/mW", "tcs"),
        ("t [min],T [°C],HF [mW]", "tcs"),
        ("Temp./°C,Zeit/min,DSC/(mW/mg)", "cts"),
        ("T,t,HF", "cts"),
        ("", "tcs"),
        ("Zeit/min,Temp./°C,Wärmestrom/mW", "tcs"),
        ("Time (min),Sample Temperature (°C),Unsubtracted Heat Flow (mW)", "tcs"),
    ],
)
def test_names_of_columns(tmp_path, head, order):
    record = dsc.read(DATA / "trios.csv")
    path = write(tmp_path / "run.csv", record, head, order)
    found = dsc.read(path)
    np.testing.assert_allclose(found.celsius, record.celsius, atol=1e-5)
    np.testing.assert_allclose(found.signal, record.signal, atol=1e-5)
    np.testing.assert_allclose(found.seconds, record.seconds, atol=1e-3)
    assert bool(found.assumed) == (head in ("", "T,t,HF"))


def test_unit_of_temperature(tmp_path):
    record = dsc.read(DATA / "trios.csv")
    path = write(tmp_path / "run.csv", record, "time,temperature,heat flow", kelvin=273.15)
    with pytest.raises(dsc.FileError, match="look like kelvin: give --temperature-unit K"):
        dsc.read(path)
    celsius = dsc.read(write(tmp_path / "celsius.csv", record, "time,temperature,heat flow"))
    assert any("without a unit: taken as °C" in words for words in celsius.assumed)
    stated = dsc.read(path, unit="K")
    np.testing.assert_allclose(stated.celsius, record.celsius, atol=1e-5)
    assert not any("kelvin" in words for words in stated.assumed)
    path = write(tmp_path / "named.csv", record)
    np.testing.assert_allclose(dsc.read(path, unit="K").celsius, record.celsius, atol=1e-5)
    # and the fit hands it on
    scans = [replace(s, assumed=("run.csv: taken as °C",)) for s in load([DATA / "trios.csv"])]
    assert "run.csv: taken as °C" in fit(scans).flags


def test_unit_of_time(tmp_path):
    """A column of seconds that does not say so would give a heating rate of 0.17 K/min."""
    record = dsc.read(DATA / "trios.csv")
    seconds = replace(record, seconds=60 * record.seconds)
    with pytest.raises(dsc.FileError, match=r"taken as min, the sample is heated at 0\.17 K/min; name the unit"):
        dsc.read(write(tmp_path / "run.csv", seconds, "time,temperature [°C],heat flow"))
    named = dsc.read(write(tmp_path / "named.csv", seconds, "time [s],temperature [°C],heat flow"))
    np.testing.assert_allclose(named.seconds, record.seconds, atol=1e-3)


def test_wrong_format_and_rates():
    for kind in ("trios", "netzsch", "ta-q", "stare"):
        with pytest.raises(dsc.FileError, match=f"has no mark of the format {kind}"):
            dsc.read(DATA / "plain_5.csv", kind)
    for options, words in (
        (Options(cooling_rates=(-5.0,)), r"cooling rate: found -5 K/min; expected a positive"),
        (Options(heating_rate=-10.0), r"heating rate: found -10 K/min"),
        (Options(heating_rate=0.0), r"heating rate: found 0 K/min"),
    ):
        with pytest.raises(ScanError, match=words):
            load([DATA / "plain_5.csv"], options)


def slow_noise(kelvin, sigma, length, random):
    rho = np.exp(-(kelvin[1] - kelvin[0]) / length)
    out = random.standard_normal(kelvin.size)
    for i in range(1, kelvin.size):
        out[i] = rho * out[i - 1] + np.sqrt(1 - rho**2) * out[i]
    return sigma * out


def transition(kelvin):
    return 1 / (1 + np.exp(-(kelvin - 350) / 1.2)) + 0.8 * np.exp(-(((kelvin - 355) / 3) ** 2))


def test_two_per_cent_of_slow_noise_are_no_event():
    kelvin = np.arange(293.0, 395.0, 0.25)
    signal = 3 + 3e-3 * (kelvin - 350) + transition(kelvin)
    random = np.random.default_rng(0)
    for _ in range(40):
        cpn = normalise(kelvin, signal + slow_noise(kelvin, 0.02, 1.0, random), "one").cpn
        assert abs(np.median(cpn[-40:]) - 1) < 0.1


def test_exotherm_at_the_end_of_a_scan():
    kelvin = np.arange(293.0, 395.0, 0.25)
    signal = 3 + 3e-3 * (kelvin - 350) + transition(kelvin) - 3.5 * np.exp(-(((kelvin - 385) / 4) ** 2))
    with pytest.raises(ScanError, match=r"^one: the sample crystallises \(exotherm near 11\d\.\d °C, after"):
        normalise(kelvin, signal, "one")
    part = kelvin < 354
    with pytest.raises(ScanError, match="the scan ends in its transition"):
        normalise(kelvin[part], signal[part], "one")
