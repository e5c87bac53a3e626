"""Speed of S(k), F_s(k,t) and g(r) of a liquid beside freud and plain NumPy; a table in Markdown.

    OMP_NUM_THREADS=1 python tests/benchmarks/liquid_scattering.py [--particles 1800] [--backends cpu host]

One frame of a binary mixture at ρ = 1.8 in a box of 10, the shells of a record (width 0.2 up to k = 40, about 400 wave
vectors each), its wave numbers of F_s, its bins of g(r). All on one core; a figure is the best of `--repeats`
runs, since other work on the machine only slows it. NumPy evaluates exp(ik·r) of the same wave vectors; freud draws
about as many of its own and knows no partial structure factors, so it gets all particles in one call.

The floor of S(k): 6 floating-point operations a wave vector and particle, at the rate of independent
multiply-adds in registers, measured in the same run.
"""

from __future__ import annotations

import argparse
import itertools

import freud
import numpy as np
from timing import flop_rate, least

from hpctools.liquids import scattering
from hpctools.liquids.dynamics import wave_numbers
from hpctools.liquids.observation import Observation
from hpctools.liquids.scattering import cpu
from hpctools.liquids.wavevectors import SIGNS, shells

FLOPS = 6.0  # a vector and particle: 8 for the products and sums of x and y, 16 for z and the sums, over 4 vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--particles", type=int, default=1800)
    parser.add_argument("--backends", nargs="+", default=["cpu", "host"], choices=("cpu", "host", "cuda"))
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    n, settings, length = options.particles, Observation(), 10.0
    rng = np.random.default_rng(1)
    # random positions cost as much as a liquid's
    fractional, displacement = rng.random((n, 3)), rng.normal(scale=0.3, size=(n, 3))
    bounds = np.array([0, round(0.8 * n), n])
    grid = shells(length, settings.shell_width, settings.k_max, settings.vectors, settings.vector_seed)
    vectors, k = int(grid.used.sum()), wave_numbers(1.8)
    positions = ((fractional - 0.5) * length).astype(np.float32)
    bins = int(length / 2 / settings.bin_width) - 1  # freud wants less than half the box
    box = freud.box.Box.cube(length)
    freud.parallel.set_num_threads(1)
    each = (grid.n[None] * SIGNS[:, None]).reshape(-1, 3)[rng.permutation(4 * len(grid.n))[:vectors]]

    def numpy_density() -> None:
        for part in np.array_split(each, 200):
            wave = np.exp(2j * np.pi * (fractional @ part.T))
            for low, high in itertools.pairwise(bounds):
                wave[low:high].sum(axis=0)

    def numpy_self() -> None:
        r = np.linalg.norm(displacement, axis=1)
        np.sinc(np.outer(k, r) / np.pi)

    def numpy_pairs() -> None:
        for low in range(0, n, 100):
            d = fractional[low:low + 100, None] - fractional[None, low:]  # each pair once, but for those in a piece
            np.histogram(length * np.linalg.norm(d - np.rint(d), axis=-1), bins, (0, length / 2))

    def freud_structure() -> None:
        direct = freud.diffraction.StaticStructureFactorDirect(200, settings.k_max, num_sampled_k_points=vectors)
        direct.compute((box, positions))

    backends = {name: scattering.choose(name) for name in options.backends}
    rows: list[tuple[str, str, float]] = []
    for name, backend in backends.items():
        rows.append(("S(k)", name, least(lambda b=backend: b.densities(fractional, bounds, grid.n), options.repeats)))
    rows += [("S(k)", "NumPy", least(numpy_density, options.repeats)),
             ("S(k)", "freud", least(freud_structure, options.repeats))]
    for name, backend in backends.items():
        rows.append(("F_s", name, least(lambda b=backend: b.self_parts(displacement, bounds, k), options.repeats)))
    rows.append(("F_s", "NumPy", least(numpy_self, options.repeats)))
    rows.append(("g(r)", "cpu", least(lambda: cpu.pair_counts(fractional, bounds, bins, length / settings.bin_width),
                                      options.repeats)))
    rows.append(("g(r)", "NumPy", least(numpy_pairs, options.repeats)))
    rdf = freud.density.RDF(bins, bins * settings.bin_width)
    rows.append(("g(r)", "freud", least(lambda: rdf.compute((box, positions)), options.repeats)))
    print(f"{n} particles, {vectors:,} wave vectors, {len(k)} wave numbers of F_s, {bins} bins of g(r); one core\n")
    print("| | by | ms a frame | times cpu |")
    print("|---|---|---|---|")
    ours = {what: seconds for what, name, seconds in rows if name == "cpu"}
    for what, name, seconds in rows:
        print(f"| {what} | {name} | {seconds * 1e3:.2f} | {seconds / ours.get(what, np.nan):.1f} |")
    rate = flop_rate()
    floor = FLOPS * vectors * n / rate
    print(f"\nfloor of S(k): {FLOPS * vectors * n / 1e6:.0f} Mflop at {rate / 1e9:.1f} Gflop/s: {floor * 1e3:.2f} ms; "
          f"taken: {ours.get('S(k)', np.nan) / floor:.1f} times that")


if __name__ == "__main__":
    main()
