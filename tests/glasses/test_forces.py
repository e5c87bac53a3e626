"""Compiled forces: beside LAMMPS' styles and the closed form, along a run, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from boxes import BOROSILICATE, Lammps, closed_form, scattered

from hpctools.glasses import campaign, quench, record
from hpctools.glasses.composition import counts, parse
from hpctools.glasses.forcefield import load
from hpctools.glasses.forces import MOST, SKIN, External, Forces, ForcesError, serves
from hpctools.glasses.job import make
from hpctools.stop import Stop

ALL_FIELDS = pytest.mark.parametrize(("name", "composition"), [
    ("bmp-shrm-smooth", BOROSILICATE), ("bmp-shrm", BOROSILICATE), ("bmp-shrm-smooth", "80SiO2-10ZnO-10TiO2"),
    ("pmmcs", "70SiO2-20Na2O-10TiO2"), ("bks", "SiO2")])


def box_of(name, composition, atoms=240, seed=3, least=1.45):
    """Field, elements, kinds, positions and edge of the smallest box that can be served."""
    glass = parse(composition)
    units = glass.units(atoms)
    field = load(name, glass)
    length = 2 * (field.reach + SKIN) + 0.1
    return field, tuple(counts(units)), *scattered(counts(units), length, seed, least), length


def evaluate(forces, positions, length):
    found = np.empty_like(positions)
    energy, virial = forces(positions, np.full(3, length), found)
    return energy, found, virial


@ALL_FIELDS
def test_energies_and_forces_are_those_of_the_closed_form(name, composition):
    field, elements, kinds, positions, length = box_of(name, composition)
    assert not field.three_body or Forces(field, elements, kinds)._bends.present
    energy, forces = closed_form(field, elements, kinds, positions, length)
    found, by_atom, _ = evaluate(Forces(field, elements, kinds), positions, length)
    scale = np.sqrt((forces**2).mean())
    # the steps of the pairs at their short-range cut-offs, up to 5 meV, are smeared over a hundredth of an Å
    assert found == pytest.approx(energy, abs=1.2e-4 * len(kinds))
    assert np.sqrt(((by_atom - forces) ** 2).mean()) < 2e-5 * scale
    assert np.abs(by_atom.sum(0)).max() < 1e-10 * scale


@ALL_FIELDS
def test_lammps_takes_them_as_it_takes_its_own(tmp_path, name, composition):
    """Energy, forces and all components of the pressure; then a run at constant pressure, of which both make the same.
    """
    field, elements, kinds, positions, length = box_of(name, composition)
    ours = Lammps(tmp_path, field, elements, kinds, positions, length, external=External)
    other = Lammps(tmp_path, field, elements, kinds, positions, length)
    scale = np.sqrt((other.forces**2).mean())
    assert ours.energy == pytest.approx(other.energy, abs=2e-4 * len(kinds))
    assert np.sqrt(((ours.forces - other.forces) ** 2).mean()) < 1e-4 * scale
    assert np.abs(ours.pressures - other.pressures).max() < 1e-4 * np.abs(other.pressures).max()
    for box in (ours, other):
        box.run("neighbor 1.0 bin", "neigh_modify every 1 delay 0 check yes", "minimize 0.0 1.0 20 100",
                "velocity all create 600 7 mom yes", "timestep 0.0005",
                "fix npt all npt temp 600 600 0.1 iso 1 1 1.0", "run 60")
    # from one start: trajectories have not parted yet, the box has moved and lists were made anew
    ours.external.check()
    assert abs(ours.lammps.get_thermo("vol") / length**3 - 1) > 1e-4
    assert ours.lammps.get_thermo("vol") == pytest.approx(other.lammps.get_thermo("vol"), rel=1e-5)
    assert ours.energy == pytest.approx(other.energy, abs=5e-4 * len(kinds))


def test_legs_may_be_longer_than_pairs_reach():
    field, elements, kinds, positions, length = box_of("bmp-shrm-smooth", BOROSILICATE)
    long = tuple(dataclasses.replace(term, cutoff=4.8) for term in field.three_body)
    field = dataclasses.replace(field, cutoff=3.2, pairs=dict.fromkeys(field.pairs, ()), three_body=long)
    assert field.reach == 4.8
    used = Forces(field, elements, kinds)
    used._legs = np.zeros((len(kinds), 1), np.uint32)  # too little room for them, which grows
    energy, forces = closed_form(field, elements, kinds, positions, length)
    for _ in range(2):
        found, by_atom, _ = evaluate(used, positions, length)
        assert found == pytest.approx(energy, abs=1.2e-4 * len(kinds))
        assert np.sqrt(((by_atom - forces) ** 2).mean()) < 1e-4 * np.sqrt((forces**2).mean())


def test_atoms_may_have_their_numbers_in_any_order(tmp_path):
    field, elements, kinds, positions, length = box_of("bmp-shrm-smooth", BOROSILICATE)
    order = np.random.default_rng(2).permutation(len(kinds))
    _, straight, _ = evaluate(Forces(field, elements, kinds), positions, length)
    box = Lammps(tmp_path, field, elements, kinds[order], positions[order], length, external=External,
                 ids=(order + 1).tolist())
    box.external.check()
    assert not np.array_equal(box.lammps.numpy.extract_atom("id")[: len(kinds)], np.arange(len(kinds)) + 1)
    np.testing.assert_allclose(box.forces, straight, atol=1e-9)


def test_energy_is_kept_over_many_neighbour_lists(tmp_path):
    """The forces are the slopes of the energy along a hot run, in which atoms leave the box and LAMMPS wraps them."""
    field, elements, kinds, positions, length = box_of("bmp-shrm-smooth", "60SiO2-20B2O3-20Na2O", 500)
    box = Lammps(tmp_path, field, elements, kinds, positions, length, external=External)
    box.run("neighbor 1.0 bin", "minimize 0.0 1.0 50 200", "velocity all create 4000 3 mom yes", "timestep 0.0005",
            "fix bath all langevin 4000 4000 0.05 5", "fix nve all nve", "run 400", "unfix bath", "run 0")
    before, builds = box.lammps.get_thermo("etotal"), box.external.forces.builds
    box.run("run 1000")
    box.external.check()
    assert box.external.forces.builds > builds + 20
    # a force off by 1e-3 of its size at random changes the energy by some meV a particle in this time
    assert box.lammps.get_thermo("etotal") == pytest.approx(before, abs=1e-3 * len(kinds))


def test_lists_serve_until_atoms_or_box_have_moved():
    field, elements, kinds, positions, length = box_of("bmp-shrm-smooth", BOROSILICATE, least=2.1)
    used, rng = Forces(field, elements, kinds), np.random.default_rng(0)
    for scale in (0.0, 0.1, 0.2, 0.28):  # of displacements up to 0.5 Å no list need be made
        moved = positions + scale * rng.uniform(-1, 1, positions.shape)
        if scale == 0.2:
            moved += length * rng.integers(-1, 2, positions.shape)  # other images of the same
        energy, forces, virial = evaluate(used, moved, length)
        assert used.builds == 1
        again = evaluate(Forces(field, elements, kinds), moved, length)
        assert energy == pytest.approx(again[0], rel=1e-10)
        np.testing.assert_allclose(forces, again[1], atol=1e-9)
        np.testing.assert_allclose(virial, again[2], rtol=1e-8)
    evaluate(used, positions + 0.42 * rng.uniform(-1, 1, positions.shape), length)
    assert used.builds == 2
    evaluate(used, positions, length)
    assert used.builds == 3
    for axis in range(3):  # the box alone
        box = np.full(3, length)
        box[axis] += 1.01 * SKIN
        used(positions, box, np.empty_like(positions))
        assert used.builds == 4 + 2 * axis
        evaluate(used, positions, length)


def test_no_pair_within_the_cutoff_is_missed_in_a_box_that_grows():
    """Many small steps, each with positions and box a little off, against forces from fresh lists."""
    field, elements, kinds, positions, length = box_of("bks", "SiO2", least=2.1)
    used, rng = Forces(field, elements, kinds), np.random.default_rng(5)
    for step in range(40):
        factor = 1 + 0.0015 * step
        here = (positions + 0.01 * step * rng.uniform(-1, 1, positions.shape)) * factor
        ours, fresh = evaluate(used, here, length * factor), evaluate(Forces(field, elements, kinds), here,
                                                                       length * factor)
        assert ours[0] == pytest.approx(fresh[0], rel=1e-10)
    assert 2 < used.builds < 40


def test_what_cannot_be_worked_out_stops_the_run(tmp_path):
    field, elements, kinds, positions, length = box_of("bmp-shrm-smooth", BOROSILICATE, least=2.0)
    forces = Forces(field, elements, kinds)
    for used in (forces, Forces(field, elements, kinds)):
        with pytest.raises(ForcesError, match=r"box of 15.90 Å is too small .* cut-off of 8 Å: take --forces"):
            evaluate(used, positions, 15.9)
        evaluate(used, positions * 16.05 / length, 16.05)  # and lists that are there already do not hide it
        with pytest.raises(ForcesError, match="too small"):
            evaluate(used, positions * 15.95 / length, 15.95)
    with pytest.raises(ForcesError, match=rf"found {len(kinds) - 1} atoms, expected {len(kinds)}: atoms were lost"):
        evaluate(forces, positions[1:], length)
    bad = positions.copy()
    bad[7, 1] = np.nan
    for used in (forces, Forces(field, elements, kinds)):
        if used is forces:
            evaluate(used, positions, length)
        with pytest.raises(ForcesError, match="not numbers"):
            evaluate(used, bad, length)
    bad[:] = positions
    bad[8] = bad[9] + [0.3, 0.0, 0.4]
    with pytest.raises(ForcesError, match=r"two atoms are 0.50 Å apart, expected more than 0.6 Å"):
        evaluate(Forces(field, elements, kinds), bad, length)
    box = Lammps(tmp_path, field, elements, kinds, positions, length, external=External)
    box.run("fix nve all nve", "timestep 0.001", "run 5",
            "change_box all x scale 0.8 y scale 0.8 z scale 0.8 remap units box", "run 50")
    with pytest.raises(ForcesError, match="too small"):
        box.external.check()
    assert box.lammps.extract_global("ntimestep") < 50
    # what is raised while LAMMPS runs arrives, Ctrl-C and a test's time limit too
    box = Lammps(tmp_path, field, elements, kinds, positions, length, external=External)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    box.external.forces._build = interrupted
    box.run("fix nve all nve", "timestep 0.001", "run 500")
    assert box.lammps.extract_global("ntimestep") < 500
    with pytest.raises(KeyboardInterrupt):
        box.external.check()


def test_a_run_takes_the_forces_that_serve_it(tmp_path, short):
    field = load("bmp-shrm-smooth", parse("SiO2"))
    assert field.reach == 8 and serves(field, 18.0, MOST)
    assert not serves(field, 17.9, MOST) and not serves(field, 18.0, MOST + 1)
    for atoms, asked, used in ((60, "auto", "tables"), (60, "styles", "styles"), (450, "auto", "compiled"),
                               (450, "tables", "tables")):
        job = make("fast", {**short, "atoms": atoms, "forces": asked}, "test")
        run = quench.Run(job, tmp_path / f"{atoms}{asked}")
        assert run.forces == used
    large = quench.plan(job)
    assert [quench.choose_forces(dataclasses.replace(job, forces="auto"), large, n) for n in (1, 2)] == ["compiled",
                                                                                                       "tables"]
    with pytest.raises(quench.QuenchError, match=r"found 1, 60 and 9\.\d\d Å: take --forces tables"):
        quench.Run(make("fast", {**short, "forces": "compiled"}, "test"), tmp_path / "small")


def test_a_run_goes_on_by_other_forces_but_not_by_other_energies(tmp_path, short):
    """As a run on several ranks does on one, or one whose box has become too small; its record names both."""
    job = make("fast", {**short, "atoms": 450}, "test")
    run = quench.Run(dataclasses.replace(job, forces="tables"), tmp_path)
    run.open()
    while run.step < job.stages()[1].last:
        run.advance()
    run.save()
    run.close()
    for other, told in (({"forces": "styles"}, "styles is False, asked for True"),
                        ({"seed": 2}, "seed is 1, asked for 2")):
        with pytest.raises(quench.QuenchError, match=f"holds a run with other settings .*{told}"):
            quench.Run(dataclasses.replace(job, **other), tmp_path)
    # settings as they were written before there were compiled forces
    text = (tmp_path / "job.toml").read_text()
    assert 'forces = "tables"\n' in text
    (tmp_path / "job.toml").write_text(text.replace('forces = "tables"\n', "merged = true\n"))
    with Stop() as stop:
        campaign.make(job, ["test"], tmp_path, tmp_path / "record.h5", stop)
    assert record.read(tmp_path / "record.h5").attributes["forces"] == "tables, compiled"
