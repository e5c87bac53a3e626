"""Force fields: published check values, closed form against LAMMPS, and what is refused."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest
from boxes import BOROSILICATE, Lammps, closed_form, scattered

from hpctools.glasses import forcefield, potentials, tables
from hpctools.glasses.composition import counts, parse
from hpctools.glasses.expression import ExpressionError, evaluate
from hpctools.glasses.forcefield import ForceFieldError, load


def glass_of(r, k):
    """A sodium borosilicate with these ratios."""
    boron = 100 / (1 + k + r)
    parts = {"SiO2": k * boron, "B2O3": boron, "Na2O": r * boron}
    return parse("-".join(f"{value:.12f}{oxide}" for oxide, value in parts.items() if value))


# values of the fit itself, computed from the published expression
@pytest.mark.parametrize(("r", "k", "depth"), [(0.5, 2, 2.7758), (1, 2, 2.5909), (1, 3, 2.7367), (2, 4, 2.6179),
                                                (0, 0, 1.9887)])
def test_depth_of_the_boron_well(r, k, depth):
    assert load("bmp-shrm", glass_of(r, k)).variables["D_BO"] == pytest.approx(depth, abs=1e-4)


@pytest.mark.parametrize(("r", "k"), [(0, 4), (0.25, 10), (3, 9)])
def test_glasses_far_from_the_fit_are_refused_with_their_ratios(r, k):
    with pytest.raises(ForceFieldError, match=rf"R = {r}.*K = {k}") as error:
        load("bmp-shrm", glass_of(r, k))
    assert "D_BO = " in str(error.value)


def test_boron_with_zinc_is_a_warning_stored_with_the_field():
    assert "extrapolation" in load("bmp-shrm", parse("54SiO2-18B2O3-18Na2O-10ZnO")).warnings[0]
    assert load("bmp-shrm", parse("90SiO2-10ZnO")).warnings == ()


@pytest.mark.parametrize(("field", "glass", "message"), [
    ("pmmcs", "60SiO2-20B2O3-20Na2O", "has no B"),
    ("bks", "90SiO2-10BaO", "has no Ba"),
    ("bmp-shm", "SiO2", "Did you mean bmp-shrm"),
])
def test_what_a_field_cannot_do(field, glass, message):
    with pytest.raises(ForceFieldError, match=message):
        load(field, parse(glass))


def test_dsf_goes_to_zero_at_its_cutoff_with_its_force():
    energy, force = potentials.dsf(np.array([8 - 1e-7]), 1.0, 0.25, 8.0)
    assert abs(energy[0]) < 1e-12 and abs(force[0]) < 1e-7


@pytest.mark.parametrize(("form", "numbers"), [("pedone", (0.34, 2.0, 2.1, 1.0)), ("buck", (1000.0, 0.3, 100.0)),
                                                ("mie", (0.007, 1.3, 30, 6))])
def test_forces_are_the_slopes_of_the_energies(form, numbers):
    r = np.linspace(1.2, 6, 50)
    function = potentials.SHORT_RANGE[form]
    slope = (function(r + 1e-6, *numbers)[0] - function(r - 1e-6, *numbers)[0]) / 2e-6
    np.testing.assert_allclose(function(r, *numbers)[1], -slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("screens", [(), ((0.03, 0.4), (11.7, 5.9))])
@pytest.mark.parametrize("stretch", [1.0, 2.0])
def test_three_body_forces_are_the_slopes_of_the_energy(screens, stretch):
    term = forcefield.ThreeBody(("Si", "B"), "O", 30.0, 109.47, 1.0, 3.5, screens)
    legs = np.array([[1.5, 0.2, 0.0], [-0.4, 1.4, 0.3]]) * stretch
    _, forces = term(*legs)
    for atom, axis in product(range(2), range(3)):
        shift = np.zeros((2, 3))
        shift[atom, axis] = 1e-6
        up, down = (term(*(legs + sign * shift))[0] for sign in (1, -1))
        assert forces[atom, axis] == pytest.approx(-(up - down) / 2e-6, rel=1e-6, abs=1e-8)


def test_the_smooth_term_is_the_published_one_up_to_its_cutoff():
    """Within 2 % where both legs are bonds, 20 % where one is not, and without a step."""
    glass = parse(BOROSILICATE)
    published, smooth = (next(t for t in load(name, glass).three_body if t.ends == ("Si", "B"))
                         for name in ("bmp-shrm", "bmp-shrm-smooth"))

    def energies(*lengths):
        legs = (np.array([lengths[0], 0, 0]), lengths[1] * np.array([np.cos(2.5), np.sin(2.5), 0]))
        return smooth(*legs)[0], published(*legs)[0]

    for bond in (1.40, 1.62):
        for other in (1.36, 1.45, 1.62):
            assert np.divide(*energies(bond, other)) == pytest.approx(1, abs=0.025)
        for other in (1.9, 2.2, 2.6, 3.0):
            assert np.divide(*energies(bond, other)) == pytest.approx(1, abs=0.2)
    assert energies(1.4, 3.29)[1] > 0.05 > 1e-6 > energies(1.4, 3.48)[0]


@pytest.mark.parametrize(("name", "composition"), [("bmp-shrm-smooth", BOROSILICATE), ("bmp-shrm", BOROSILICATE),
                                                   ("bmp-shrm", "80SiO2-10ZnO-10TiO2"),
                                                   ("pmmcs", "70SiO2-20Na2O-10TiO2"), ("bks", "SiO2")])
def test_lammps_gives_the_energies_and_forces_of_the_closed_form(tmp_path, name, composition):
    glass = parse(composition)
    field, atoms, length = load(name, glass), counts(glass.units(90)), 12.0
    elements = tuple(atoms)
    kinds, positions = scattered(atoms, length, 3)
    energy, forces = closed_form(field, elements, kinds, positions, length)
    scale = np.sqrt((forces**2).mean())
    separate = Lammps(tmp_path, field, elements, kinds, positions, length, merged=False)
    own = tables.self_energy(field, atoms)
    # LAMMPS' erfc is an approximation of about 1e-7
    assert separate.energy - own == pytest.approx(energy, rel=1e-6)
    assert np.abs(separate.forces - forces).max() < 1e-5 * scale
    merged = Lammps(tmp_path, field, elements, kinds, positions, length, merged=True)
    # the tables smear the steps at the short-range cut-offs, up to 5 meV, over a few thousandths of an Å
    assert merged.energy == pytest.approx(energy, abs=1.2e-4 * len(kinds))
    assert np.sqrt(((merged.forces - forces) ** 2).mean()) < 1e-4 * scale


# Å; the least distance of pairs in a melt at 3500 K, about
NEAREST = {("Si", "O"): 1.35, ("B", "O"): 1.15, ("Na", "O"): 1.9, ("Ba", "O"): 2.2, ("Zn", "O"): 1.6, ("Ti", "O"): 1.5,
           ("O", "O"): 2.0}  # fmt: skip


@pytest.mark.parametrize(("name", "composition"), [("bmp-shrm", BOROSILICATE), ("bmp-shrm", "70SiO2-10ZnO-20TiO2"),
                                                   ("pmmcs", "70SiO2-20Na2O-10TiO2"), ("bks", "SiO2")])
def test_tables_follow_the_closed_form_at_all_distances(tmp_path, name, composition):
    """As LAMMPS evaluates them, but for the steps at the short-range cut-offs; up to the last bit of the cut-off."""
    glass = parse(composition)
    field = dataclasses.replace(load(name, glass), three_body=())  # pair_write is for pairs alone
    elements = glass.elements
    box = Lammps(tmp_path, field, elements, [0, 0], [[1.0, 1, 1], [1, 1, 4]], 40.0, merged=True)
    for pair in forcefield.pairs_of(elements):
        i, j = (elements.index(e) + 1 for e in pair)
        path = tmp_path / f"{i}_{j}.txt"
        box.run(f"pair_write {i} {j} 7919 rsq {NEAREST.get(pair, 2.3)} {field.cutoff - 1e-8} {path} X")
        rows = np.loadtxt(path, skiprows=6)
        step = field.pairs[pair][0].cutoff if field.pairs[pair] else np.inf
        rows = rows[np.abs(rows[:, 1] - step) > 0.01]
        energy, force = field.pair(*pair, rows[:, 1])
        coarse = 2.5 if field.cutoff > 9 else 1.0  # LAMMPS has one bit less in each octave
        assert np.abs(rows[:, 2] - energy).max() < 3e-5 * coarse
        assert np.abs(rows[:, 3] - force).max() < 2e-4 * coarse


@pytest.mark.parametrize(("ends", "merged"), [(("Si", "Si"), False), (("B", "B"), False), (("Si", "B"), False),
                                              (("Si", "Na"), False), (("O", "O"), False), (("Si", "B"), True)])
def test_three_atoms_bend_as_the_formula_says(tmp_path, ends, merged):
    """The energy beyond the pairs' is that of the three-body term, and zero where the field has none."""
    elements = ("Si", "B", "Na", "O")
    field = load("bmp-shrm", parse("60SiO2-20B2O3-20Na2O"))
    apex = np.array([15.0, 15.0, 15.0])
    legs = np.array([[1.6, 0.0, 0.0], [1.7 * np.cos(2.2), 1.7 * np.sin(2.2), 0.1]])
    kinds = [elements.index("O"), *(elements.index(e) for e in ends)]
    box = Lammps(tmp_path, field, elements, kinds, [apex, *(apex + legs)], 30.0, merged)
    pairs = sum(field.pair(a, b, d)[0] for a, b, d in (("O", ends[0], np.linalg.norm(legs[0])),
                                                      ("O", ends[1], np.linalg.norm(legs[1])),
                                                      (*ends, np.linalg.norm(legs[0] - legs[1]))))
    half_k = {("Si", "Si"): 12.5, ("B", "B"): 30.0, ("Si", "B"): 30.0}.get(ends, 0.0)
    theta = np.arccos(legs[0] @ legs[1] / np.linalg.norm(legs, axis=1).prod())
    expected = half_k * (theta - np.radians(109.47)) ** 2 * np.exp(-np.linalg.norm(legs, axis=1).sum())
    own = 0.0 if merged else potentials.dsf_self_energy(sum(field.charges[elements[k]] ** 2 for k in kinds), 0.25, 8.0)
    assert box.energy - own - float(pairs) == pytest.approx(expected, abs=1e-4)
    assert expected == 0 or expected > 1e-3


def test_a_user_adds_a_field_with_charges_that_depend_on_the_glass(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[charges]\nO = "-q / 2"\nSi = "q"\n[variables]\nq = "2 + SiO2 / 250"\n[coulomb]\nstyle = "dsf"\n'
                    "damping = 0.2\ncutoff = 9.0\n[buck]\ncutoff = 9.0\nSi-O = { A = 18000.0, rho = 0.2, C = 130.0 }\n"
                    "O-O = { A = 1400.0, rho = 0.3, C = 170.0 }\n")
    field = load(str(path), parse("SiO2"))
    assert field.charges == {"Si": pytest.approx(2.4), "O": pytest.approx(-1.2)}
    assert field.name == "mine"


@pytest.mark.parametrize(("text", "message"), [
    ("[charges]\nO = -1.2\nSi = 2.0\n[coulomb]\nstyle = 'dsf'\ndamping = 0.2\ncutoff = 9.0\n[buck]\ncutoff = 9.0\n"
     "Si-O = { A = 1.0, rho = 0.2, C = 1.0 }\nO-O = { A = 1.0, rho = 0.2, C = 1.0 }", "SiO2 is not neutral"),
    ("[charge]\nO = 1", "unknown table 'charge'"),
    ("[charges]\nO = -1.2\nSi = 2.4\n[coulomb]\nstyle = 'ewald'", "expected 'dsf'"),
    ("[charges]\nO = -1.2\nSi = 2.4\n[coulomb]\nstyle = 'dsf'\ndamping = 0.2\ncutoff = 9.0", "no short-range term"),
    ("[charges]\nO = -1.2\nSi = '__import__(1)'", "expected numbers, names"),
    ("[charges", "cannot be read"),
])
def test_faulty_field_files_are_named(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(ForceFieldError, match=message):
        load(str(path), parse("SiO2"))


WHOLE = """
warnings = []
[charges]
O = -1.2
Si = 2.4
[coulomb]
style = "dsf"
damping = 0.2
cutoff = 9.0
[variables]
K = "SiO2 / 100"
[limits]
K = [0.0, 2.0]
[buck]
cutoff = 7.0
Si-O = { A = 18000.0, rho = 0.2, C = 130.0 }
O-O = { A = 1400.0, rho = 0.3, C = 170.0 }
[three_body]
cutoff = 3.3
rho = 1.0
Si-O-Si = { half_k = 12.5, theta0 = 109.47 }
"""


@pytest.mark.parametrize(("old", "new", "message"), [
    ("O-O = { A = 1400.0, rho = 0.3, C = 170.0 }", "", "no short-range term for O-O"),
    ("O = -1.2\nSi = 2.4", 'O = "-1.2"\nSi = "2.3"', r"SiO2 is not neutral: charges add up to -0.1 e"),
    ("A = 18000.0", "A = nan", "buck: Si-O: A: found nan, expected a finite number"),
    ("C = 170.0", "C = inf", "buck: O-O: C: found inf, expected a finite number"),
    ("rho = 0.2", "rho = 0", "buck: Si-O: rho: found 0, expected a number above 0"),
    ("rho = 1.0", "rho = 0.0", "three_body: rho: found 0, expected a number above 0"),
    ("cutoff = 9.0", "cutoff = -9.0", "coulomb: cutoff: found -9, expected a number above 0"),
    ("cutoff = 7.0", "cutoff = nan", "buck: cutoff: found nan, expected a finite number"),
    ("cutoff = 3.3", "cutoff = 0.0", "three_body: cutoff: found 0, expected a number above 0"),
    ("damping = 0.2", "damping = -0.2", "coulomb: damping: found -0.2, expected at least 0"),
    ("damping = 0.2", "damping = 0.2\ndampng = 1", "coulomb: unknown entry 'dampng'"),
    ("theta0 =", "q = 1, theta0 =", "three_body: Si-O-Si: unknown entry 'q'"),
    ("K = [0.0", "Q = [0.0", "limits: Q is none of the file's variables"),
    ("K = [0.0, 2.0]", "K = 3", "limits: K: found 3, expected"),
    ("O-O =", "O-Si = { A = 1.0, rho = 0.2, C = 1.0 }\nO-O =", "buck: Si-O and O-Si are the same"),
    ("Si-O = { A = 18000.0, rho = 0.2, C = 130.0 }", "Si-O = 3", "buck: Si-O: found 3, expected a table"),
    ("warnings = []", "pedone = 3", "pedone: found 3, expected a table"),
    ("warnings = []", "[[pedone]]\nD = 1", "pedone: found .*, expected a table"),
    ("warnings = []", "[[warnings]]\ntext = 'x'", "warnings: found .*, expected elements"),
    ("warnings = []", "warnings = 3", "warnings: found 3, expected tables"),
])
def test_content_that_cannot_be_is_named(tmp_path, old, new, message):
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE)
    assert load(str(path), parse("SiO2")).charges["Si"] == 2.4
    assert WHOLE.count(old) == 1 or old.startswith("Si-O =")
    path.write_text(WHOLE.replace(old, new, 1))
    with pytest.raises(ForceFieldError, match=message):
        load(str(path), parse("SiO2"))


def test_expressions_are_arithmetic_only():
    assert evaluate("-2**2 + exp(0) * (x - 1) / 4", {"x": 9.0}.__getitem__) == -2.0
    for text in ("x.y", "[1]", "1 / 0", "f(1)", "1 +", "'a'"):
        with pytest.raises(ExpressionError):
            evaluate(text, lambda name: 1.0)


def heating(folder, name):
    """Slope of the energy at constant energy in a melt, meV a particle and ps."""
    glass = parse("40SiO2-40B2O3-20Na2O")
    field, atoms, length = load(name, glass), counts(glass.units(150)), 13.0
    box = Lammps(folder, field, tuple(atoms), *scattered(atoms, length, 1), length, merged=True)
    box.run("neigh_modify every 1 delay 0 check yes", "timestep 0.001", "minimize 0 1 50 200")
    box.run("fix limit all nve/limit 0.1", "fix bath all langevin 2500 2500 0.1 7", "run 1500")
    box.run("unfix limit", "unfix bath", "fix nve all nve", "run 0")
    energies = []
    for _ in range(50):
        box.run("run 20 pre no post no")
        energies.append(box.lammps.get_thermo("etotal") / sum(atoms.values()) * 1000)
    return np.polyfit(0.02 * np.arange(50), energies, 1)[0]


@pytest.mark.parametrize(("leg", "ratio"), [(1.6, 1.0), (2.0, 1.13), (2.5, 1.83)])
def test_smooth_three_body_term_beside_the_published_one(leg, ratio):
    """As the field's note says: alike for bonds, larger where both legs are long."""
    glass = parse("SiO2")
    ends = np.array([[leg, 0, 0], [leg * np.cos(2.4), leg * np.sin(2.4), 0]])
    smooth, published = (load(name, glass).three_body[0](*ends)[0] for name in ("bmp-shrm-smooth", "bmp-shrm"))
    assert smooth / published == pytest.approx(ratio, abs=0.02 if ratio == 1 else 0.006)


def test_only_the_smooth_three_body_term_conserves_the_energy(tmp_path):
    assert abs(heating(tmp_path, "bmp-shrm-smooth")) < 10 < 40 < heating(tmp_path, "bmp-shrm")
