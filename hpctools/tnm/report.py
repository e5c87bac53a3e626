"""Results of a fit as a table, JSON and a figure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hpctools.whole import whole

from .. import __version__
from .model import reference_temperature
from .program import ZERO_CELSIUS
from .refinement import Result
from .scans import Scan
from .start import Start

ROWS = (("ln A (A in s)", 0, 1.0, ""), ("Δh*", 1, 1e3, "kJ/mol"), ("x", 2, 1.0, ""), ("β", 3, 1.0, ""))
KEYS = ("ln_A", "dh", "x", "beta")
UNITS = ("ln(A/s)", "J/mol", "1", "1")


class ReportError(ValueError):
    """A report that cannot be written."""

    user_error = True


def _number(value: float, error: float) -> str:
    """A value with two digits of its error."""
    if not (np.isfinite(error) and error > 0):
        return f"{value:.6g}"
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _why(start: Start) -> str:
    return f" ({'; '.join(start.flags)})" if start.flags else ""


def table(result: Result) -> str:
    """What to mind, parameters with errors, correlation, noise; one line a scan. Markdown."""
    lines = [*(f"note: {flag}" for flag in result.flags), *([""] if result.flags else [])]
    lines += ["| parameter | value | unit |", "|---|---|---|"]
    for name, k, scale, unit in ROWS:
        lines.append(f"| {name} | {_number(result.parameters[k] / scale, result.errors[k] / scale)} | {unit} |")
    lines.append(f"| T100 (τ = 100 s) | {result.t100:.2f} | K |")
    for name, (values, errors) in result.instrument.items():
        if len(values) == 1 and name in ("shift", "lag"):
            lines.append(f"| {name} | {_number(values[0], errors[0])} | {'K' if name == 'shift' else 's'} |")
    correlation = result.correlation
    pairs = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
    symbols = ("ln A", "Δh*", "x", "β")
    lines += [
        "",
        "correlation: " + ", ".join(f"{symbols[i]}-{symbols[j]} {correlation[i, j]:.4f}" for i, j in pairs),
        f"noise of CpN {result.noise.sigma:.4f}, correlation length {result.noise.length:.2g} K; residuals (rms) "
        f"{result.rms:.4f}; reduced χ² against the noise of the windows "
        + (f"{result.chi2:.2f}" if np.isfinite(result.chi2) else "not known"),
        f"start: {result.start.method}{_why(result.start)}; {result.iterations} iterations, {result.seconds:.2f} s",
        "",
        "| scan | cooling, K/min | heating, K/min | from, °C | to, °C | windows | rms |",
        "|---|---|---|---|---|---|---|",
    ]
    for one, curve in zip(result.scans, result.curves, strict=True):
        lines.append(
            f"| {one.name} | {one.cooling_rate:.3g} | {one.heating_rate:.3g} | {one.start - ZERO_CELSIUS:.1f} | "
            f"{one.history[-1].end - ZERO_CELSIUS:.1f} | {', '.join(one.notes)} | "
            f"{np.sqrt(np.mean((one.cpn - curve) ** 2)):.4f} |"
        )
    return "\n".join(lines)


def estimate_table(found: Start, scans: Sequence[Scan]) -> str:
    """An estimate as Markdown."""
    lines = [f"{len(scans)} scans, {found.method}", "", "| parameter | estimate | unit |", "|---|---|---|"]
    errors = np.full(4, np.nan) if found.covariance is None else np.sqrt(np.diag(found.covariance))
    for name, k, scale, unit in ROWS:
        lines.append(f"| {name} | {_number(found.parameters[k] / scale, errors[k] / scale)} | {unit} |")
    lines.append(f"| T100 (τ = 100 s) | {reference_temperature(*found.parameters[:2]):.2f} | K |")
    return "\n".join(lines + [f"note: {flag}" for flag in found.flags])


def _scan_facts(one: Scan) -> dict[str, Any]:
    return {
        "name": one.name, "cooling_rate_K_per_min": one.cooling_rate, "heating_rate_K_per_min": one.heating_rate,
        "start_K": one.start, "history": [segment._asdict() for segment in one.history],
        "points": len(one.temperature), "noise": one.noise, "windows": list(one.notes),
    }  # fmt: skip


def as_dict(result: Result, command: Sequence[str] = ()) -> dict[str, Any]:
    """Everything of a result but the curves, ready for JSON."""
    return {
        "program": f"hpctools {__version__}",
        "command": list(command),
        "model": "Tool-Narayanaswamy-Moynihan, tau = exp[ln A + x dh/(R T) + (1-x) dh/(R Tf)]",
        "parameters": {
            key: {"value": float(v), "error": float(e), "unit": unit}
            for key, v, e, unit in zip(KEYS, result.parameters, result.errors, UNITS, strict=True)
        },
        "order": list(KEYS),
        "covariance": result.covariance.tolist(),
        "correlation": result.correlation.tolist(),
        "T100_K": result.t100,
        "instrument": {
            name: {"value": values.tolist(), "error": errors.tolist()}
            for name, (values, errors) in result.instrument.items()
        },
        "noise": {"sigma": float(result.noise.sigma), "correlation_length_K": float(result.noise.length)},
        "reduced_chi2": float(result.chi2) if np.isfinite(result.chi2) else None,
        "rms": result.rms,
        "converged": result.converged,
        "described": result.described,
        "flags": list(result.flags),
        "start": {"method": result.start.method, "parameters": result.start.parameters.tolist()},
        "iterations": result.iterations,
        "seconds": result.seconds,
        "scans": [
            {**_scan_facts(one), "rms": float(np.sqrt(np.mean((one.cpn - curve) ** 2)))}
            for one, curve in zip(result.scans, result.curves, strict=True)
        ],
    }


def _write(path: Path, data: bytes) -> Path:
    """Write whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path, shared=True) as part:
            part.write_bytes(data)
    except OSError as error:
        raise ReportError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def write_json(result: Result, path: str | Path, command: Sequence[str] = ()) -> Path:
    """Write as_dict(result)."""
    return _write(Path(path), (json.dumps(as_dict(result, command), indent=1, ensure_ascii=False) + "\n").encode())


def write_estimate(found: Start, scans: Sequence[Scan], path: str | Path, command: Sequence[str] = ()) -> Path:
    """Write an estimate."""
    data = {
        "program": f"hpctools {__version__}", "command": list(command), "method": found.method,
        "parameters": dict(zip(KEYS, found.parameters.tolist(), strict=True)),
        "units": dict(zip(KEYS, UNITS, strict=True)),
        "covariance": None if found.covariance is None else found.covariance.tolist(), "flags": list(found.flags),
        "refused": found.refused, "scans": [_scan_facts(one) for one in scans],
    }  # fmt: skip
    return _write(Path(path), (json.dumps(data, indent=1, ensure_ascii=False) + "\n").encode())


def figure(result: Result, path: str | Path) -> Path:
    """Data, fit and residuals of each scan."""
    try:
        import matplotlib
    except ImportError as error:
        raise ReportError("figures need matplotlib: pip install 'hpctools[plot]', or --no-figure") from error
    matplotlib.use("Agg")
    import io

    from matplotlib import pyplot as plt

    n = len(result.scans)
    columns = min(3, n)
    rows = -(-n // columns)
    drawing, axes = plt.subplots(
        2 * rows, columns, figsize=(4.2 * columns, 3.6 * rows), squeeze=False, height_ratios=[3, 1] * rows,
        layout="constrained",
    )  # fmt: skip
    for k, (one, curve) in enumerate(zip(result.scans, result.curves, strict=True)):
        top, bottom = axes[2 * (k // columns), k % columns], axes[2 * (k // columns) + 1, k % columns]
        celsius = one.temperature - ZERO_CELSIUS
        top.plot(celsius, one.cpn, ".", ms=2.5, color="0.45", label="data")
        top.plot(celsius, curve, color="C3", lw=1.2, label="fit")
        top.set_title(f"after {one.cooling_rate:.3g} K/min, heated at {one.heating_rate:.3g} K/min", fontsize=9)
        top.set_ylabel("CpN")
        top.tick_params(labelbottom=False)
        bottom.axhline(0, color="0.7", lw=0.6)
        bottom.plot(celsius, one.cpn - curve, ".", ms=2.0, color="0.45")
        bottom.set_xlabel("T, °C")
        bottom.set_ylabel("rest")
        for axis in (top, bottom):
            axis.set_xlim(celsius[0], celsius[-1])
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].legend(frameon=False, fontsize=8)
    for k in range(n, rows * columns):
        axes[2 * (k // columns), k % columns].set_visible(False)
        axes[2 * (k // columns) + 1, k % columns].set_visible(False)
    values = [_number(result.parameters[k] / s, result.errors[k] / s) for _, k, s, _ in ROWS]
    drawing.suptitle(f"ln A = {values[0]}, Δh* = {values[1]} kJ/mol, x = {values[2]}, β = {values[3]}", fontsize=10)
    kind = Path(path).suffix[1:] or "png"
    buffer = io.BytesIO()
    drawing.savefig(buffer, format=kind, dpi=150)
    plt.close(drawing)
    return _write(Path(path), buffer.getvalue())
