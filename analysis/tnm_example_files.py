"""Write example DSC files in every format that `python -m hpctools.tnm fit` reads.

    python analysis/tnm_example_files.py [--out hpctools/data/dsc] [--seed 1]

The measurements are simulated by the direct method (hpctools.tnm.direct), which shares nothing with the fit's
simulator, and shown through an instrument: heat capacity of glass and liquid that rise with temperature, a start-up
transient, noise of 0.5 % of ΔCp with a correlation length of 1 K, the format's own sign, units and decimal marks. Each
cycle is a cooling from the liquid, 2 min at the bottom, heating at 10 K/min, and 1 min at the top. Beside the files,
examples.json says which parameters they were made with.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from figures import run
from numpy.typing import NDArray

from hpctools.tnm._direct_kernel import hermite_slope
from hpctools.tnm.direct import solve
from hpctools.tnm.materials import MATERIALS, Material

Array = NDArray[np.float64]
HEATING = 10.0  # K/min
BOTTOM, TOP = 2.0, 1.0  # min
NOISE, LENGTH = 0.005, 1.0  # of ΔCp; K
SETTLE = 0.5  # K: start-up transient
RATES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # K/min
STEP, COOLING_STEP = 0.5, 2.0  # K between rows


class Piece(NamedTuple):
    """A ramp or hold: minutes, °C, heat flow in W/g (endothermic positive), rate K/min, temperature of the end."""

    minutes: Array
    celsius: Array
    flow: Array
    rate: float
    end: float


def material(name: str) -> Material:
    """A material of hpctools.tnm.materials by its name."""
    return next(m for m in MATERIALS if m.name == name)


def measure(m: Material, rates: tuple[float, ...], span: tuple[float, float], dcp: float) -> list[Piece]:
    """Pieces of a run without noise; span: K below and above T100; dcp: J/(g K)."""
    low, high = np.round(m.t100 - span[0]), np.round(m.t100 + span[1])
    pieces, clock = [], 0.0
    for q in rates:
        program = [(-q, high, low), (0.0, low, low), (HEATING, low, high), (0.0, high, high)]
        lengths = [(high - low) / q, BOTTOM, (high - low) / HEATING, TOP]
        seconds = [60 * length for length in lengths]
        history = solve(m.parameters, [r / 60 for r, _, _ in program], seconds, float(high), resolution=6.0)
        begin = 0.0
        for k, (rate, a, b) in enumerate(program):
            step = _step(rate)
            points = max(int(abs(b - a) / step), 8 if rate == 0 else 2) + 1
            t = np.linspace(0.0, lengths[k], points)[1:] if pieces else np.linspace(0.0, lengths[k], points)
            first, last = np.searchsorted(history.segment, [k, k + 1])
            part = slice(max(first - 1, 0), last)
            slope = hermite_slope(
                history.time[part], history.fictive_temperature[part], history.slope[part], 60 * (begin + t)
            )
            kelvin = a + rate * t
            glass = 0.6 * dcp / 0.2 * (1 + 1e-3 * (kelvin - m.t100))
            settled = 1 - np.exp(-abs(rate) * t / SETTLE)
            flow = (glass * rate / 60) * settled + dcp * (1 - 5e-4 * (kelvin - m.t100)) * slope
            pieces.append(Piece(clock + t, kelvin - 273.15, flow, rate, b - 273.15))
            begin += lengths[k]
            clock += lengths[k]
    return pieces


def _step(rate: float) -> float:
    """K between rows."""
    return COOLING_STEP if rate <= 0 else STEP


def with_noise(pieces: list[Piece], random: np.random.Generator, dcp: float, size: float = NOISE) -> list[Piece]:
    """The run with noise of this share of ΔCp."""
    out = []
    for p in pieces:
        noise = np.empty(p.minutes.size)
        value = random.standard_normal()
        rho = np.exp(-_step(p.rate) / LENGTH)
        for i in range(noise.size):
            noise[i] = value
            value = rho * value + np.sqrt(1 - rho**2) * random.standard_normal()
        out.append(p._replace(flow=p.flow + size * dcp * HEATING / 60 * noise))
    return out


def _comma(text: str) -> str:
    return text.replace(".", ",")


def trios(pieces: list[Piece]) -> bytes:
    """TRIOS text, exotherm up, German decimal commas, tabs."""
    head = (
        "[File Parameters]\nSample name\tAs2Se3, simulated\nInstrument type\tsimulation\n[Procedure]\n"
        "Sample Mass\t12,5 mg\n[Configuration]\nExotherm Direction\tUp\n"
    )
    blocks = []
    for p in pieces:
        title = f"Isothermal {p.end:.2f} °C" if p.rate == 0 else f"Ramp {abs(p.rate):.2f} °C/min to {p.end:.2f} °C"
        rows = "".join(
            _comma(f"{t:.4f}\t{c:.3f}\t{-f:.6f}\n") for t, c, f in zip(p.minutes, p.celsius, p.flow, strict=True)
        )
        blocks.append(f"[step]\n{title}\nTime\tTemperature\tHeat Flow (Normalized)\nmin\t°C\tW/g\n{rows}")
    return ("\ufeff" + head + "".join(blocks)).encode()


def trios_csv(pieces: list[Piece]) -> bytes:
    """TRIOS CSV, exotherm up, decimal points."""
    text = trios(pieces).decode("utf-8-sig").replace("As2Se3, ", "As2Se3 ")
    return text.replace(",", ".").replace("\t", ",").encode()


def ta_q(pieces: list[Piece], mass: float = 8.3) -> bytes:
    """TA Q text: UTF-16, exotherm down, mW."""
    head = (
        f"Version 2.0\nRun 1\nInstrument simulation\nSize {mass:.4f} mg\nExotherm DOWN\nNsig 3\nSig1 Time (min)\n"
        "Sig2 Temperature (°C)\nSig3 Heat Flow (mW)\nStartOfData\n"
    )
    rows = "".join(
        f"{t:.4f} {c:.3f} {mass * f:.5f}\n"
        for p in pieces
        for t, c, f in zip(p.minutes, p.celsius, p.flow, strict=True)
    )
    return (head + rows).encode("utf-16")


def netzsch(pieces: list[Piece]) -> bytes:
    """Proteus ASCII: Latin-1, decimal commas, semicolons, exotherm up."""
    head = (
        "#EXPORTTYPE:DATA ALL\n#FORMAT:NETZSCH5\n#IDENTITY:simulated\n#DECIMAL:COMMA\n#SEPARATOR:SEMICOLON\n#EXO:1\n"
        "#SAMPLE MASS /mg:9,87\n##Temp./°C;Time/min;DSC/(mW/mg);Segment\n"
    )
    rows = "".join(
        _comma(f"{c:.3f};{t:.4f};{-f:.6f};{k}\n")
        for k, p in enumerate(pieces, 1)
        for t, c, f in zip(p.minutes, p.celsius, p.flow, strict=True)
    )
    return (head + rows).encode("latin-1")


def stare(pieces: list[Piece], mass: float = 10.0) -> bytes:
    """STARe text: exotherm up, one curve a segment, t in s."""
    out, index = [f"Curve Name:\n  [1]simulated\nSample Weight:\n  {mass:.4f} mg\n"], 0
    for p in pieces:
        out.append("Curve Values:\n        Index             t            Ts            Tr         Value\n")
        out.append("                        [s]          [°C]          [°C]          [mW]\n")
        for t, c, f in zip(p.minutes, p.celsius, p.flow, strict=True):
            out.append(f"{index:8d} {60 * t:10.1f} {c:9.3f} {c + 0.01 * p.rate:9.3f} {-mass * f:10.5f}\n")
            index += 1
    return "".join(out).encode("latin-1")


def csv_files(pieces: list[Piece], rates: tuple[float, ...]) -> dict[str, bytes]:
    """Plain CSV, a file a heating scan, without times; the rates stand in comment lines."""
    out = {}
    heating = [p for p in pieces if p.rate > 0]
    for q, p in zip(rates, heating, strict=True):
        head = f"# cooling rate: {q:g}\n# heating rate: {HEATING:g}\ntemperature [°C],heat flow [W/g]\n"
        rows = "".join(f"{c:.2f},{f:.6f}\n" for c, f in zip(p.celsius, p.flow, strict=True))
        out[f"plain_{q:g}.csv"] = (head + rows).encode()
    return out


def make(seed: int = 1) -> tuple[dict[str, bytes], dict[str, Any]]:
    """All files by name, and what they were made with."""
    random = np.random.default_rng(seed)
    files: dict[str, bytes] = {}
    known: dict[str, Any] = {}

    def note(name: str, m: Material) -> None:
        known[name] = {"material": m.name, "ln_A": m.ln_a, "dh": m.dh, "x": m.x, "beta": m.beta, "source": m.source}

    def noisy(m: Material, rates: tuple[float, ...], span: tuple[float, float], dcp: float) -> list[Piece]:
        return with_noise(measure(m, rates, span, dcp), random, dcp)

    m = material("As2Se3")
    files["trios.txt"] = trios(noisy(m, RATES, (75.0, 50.0), 0.18))
    files["trios.csv"] = trios_csv(noisy(m, (1.0, 5.0, 20.0), (75.0, 50.0), 0.18))
    note("trios.txt", m)
    note("trios.csv", m)
    m = material("a-Se (enthalpy)")
    files["ta_q.txt"] = ta_q(noisy(m, (0.5, 2.0, 10.0, 20.0), (45.0, 30.0), 0.2))
    note("ta_q.txt", m)
    m = material("nifedipine")
    files["netzsch.txt"] = netzsch(noisy(m, RATES, (35.0, 25.0), 0.35))
    note("netzsch.txt", m)
    m = material("TPD")
    files["stare.txt"] = stare(noisy(m, RATES, (45.0, 30.0), 0.3))
    note("stare.txt", m)
    m = material("griseofulvin")
    files |= csv_files(noisy(m, RATES, (40.0, 25.0), 0.35), RATES)
    note("plain_*.csv", m)
    return files, known


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("hpctools/data/dsc"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    files, known = make(options.seed)
    for name, data in files.items():
        (options.out / name).write_bytes(data)
        print(f"{options.out / name}: {len(data):,} bytes")
    command = f"python analysis/tnm_example_files.py --seed {options.seed}"
    text = json.dumps({"command": command, "files": known}, indent=1)
    (options.out / "examples.json").write_text(text + "\n")


if __name__ == "__main__":
    run(main)
