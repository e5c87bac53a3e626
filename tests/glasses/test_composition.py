"""Compositions, densities, four-fold boron and designs: published check values, and what is refused."""

import itertools
import tomllib

import numpy as np
import pytest

from hpctools.config import ConfigError
from hpctools.glasses import design
from hpctools.glasses.boron import ratios, yun_bray_dell
from hpctools.glasses.composition import CompositionError, counts, from_units, parse
from hpctools.glasses.density import atoms_for_length, box_length, fluegel, molar_volume_density, start_density
from hpctools.glasses.design import DesignError
from hpctools.glasses.job import make
from hpctools.glasses.protocol import ProtocolError


def test_a_composition_is_read_whatever_its_order_and_spaces():
    glass = parse(" 20 Na2O - 60.0SiO2 + 20B2O3")
    assert str(glass) == "60SiO2-20B2O3-20Na2O" and parse(str(glass)) == glass
    assert (glass["SiO2"], glass["BaO"]) == (60.0, 0.0)
    assert str(parse("SiO2")) == "SiO2" and parse("100SiO2") == parse("SiO2")
    assert glass.elements == ("Si", "B", "Na", "O")


@pytest.mark.parametrize(("text", "message"), [
    ("60SiO2-20B2O4-20Na2O", "unknown oxide 'B2O4'. Did you mean B2O3?"),
    ("60SiO2-20B2O3-10Na2O", "add up to 90; expected 100"),
    ("60SiO2-20B2O3-Na2O", "Na2O has no number"),
    ("60SiO2-20SiO2-20Na2O", "SiO2 stands there twice"),
    ("60%SiO2-40Na2O", "cannot read '60%SiO2'"),
    ("", "cannot read ''"),
    ("xO", "cannot read 'xO'"),
])
def test_faulty_compositions_are_named(text, message):
    with pytest.raises(CompositionError) as error:
        parse(text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_boxes_hold_whole_formula_units_and_are_neutral():
    glass = parse("54SiO2-18B2O3-18Na2O-10BaO")
    units = glass.units(600)
    atoms = counts(units)
    charge = 4 * atoms["Si"] + 3 * atoms["B"] + atoms["Na"] + 2 * atoms["Ba"] - 2 * atoms["O"]
    assert charge == 0 and abs(sum(atoms.values()) - 600) < 4
    assert all(from_units(units)[oxide] == pytest.approx(glass[oxide], abs=0.5) for oxide in glass.percent)
    with pytest.raises(CompositionError, match=r"30 atoms are too few for 2 mol % BaO: take at least \d+"):
        parse("98SiO2-2BaO").units(30)


def test_a_box_has_the_density_and_length_asked_for():
    glass = parse("SiO2")
    atoms = atoms_for_length(glass, 2.2, 20.2)
    # 66.2 atoms/nm³ at 2.2 g/cm³
    assert atoms == pytest.approx(0.0662 * 20.2**3, rel=0.01)
    assert 20.2 <= box_length(glass.units(atoms), 2.2) < 20.3


# check values of the regression for 60-20-20 and 54-18-18-10, in g/cm³
@pytest.mark.parametrize(("text", "value"), [("60SiO2-20B2O3-20Na2O", 2.496), ("54SiO2-18B2O3-18Na2O-10BaO", 2.931)])
def test_density_by_the_regression_of_fluegel(text, value):
    assert fluegel(parse(text)) == pytest.approx(value, abs=5e-4)
    assert start_density(parse(text)).source == "Fluegel 2007"


@pytest.mark.parametrize("text", ["50SiO2-30B2O3-20Na2O", "80SiO2-17B2O3-3Na2O", "70SiO2-20Na2O-10CaO", "SiO2"])
def test_the_regression_is_silent_where_it_does_not_hold(text):
    assert fluegel(parse(text)) is None


# g/cm³, handbook values of the vitreous oxides
@pytest.mark.parametrize(("text", "value"), [("SiO2", 2.20), ("B2O3", 1.81)])
def test_start_densities_of_the_pure_glasses(text, value):
    assert start_density(parse(text)).value == pytest.approx(value, rel=0.03)


def test_molar_volumes_are_near_the_regression_where_it_holds():
    """The sum of molar volumes is used beyond the regression; where both hold they must not be far apart."""
    doped = [("", 0)] + [(dopant, percent) for dopant in design.DOPANTS for percent in (2, 10, 20)]
    glasses = [design.sodium_borosilicate(k, r, *more)
               for k in (2.5, 3, 4, 6) for r in (0.3, 0.5, 1.0, 1.5, 2.0) for more in doped]
    off = np.array([molar_volume_density(glass) / value - 1 for glass in glasses if (value := fluegel(glass))])
    assert len(off) == 183
    assert np.sqrt((off**2).mean()) < 0.025 and np.abs(off).max() < 0.06


# W. J. Dell, P. J. Bray, S. Z. Xiao, J. Non-Cryst. Solids 58:1 (1983): N4 = R, the plateau, the fall, and none
@pytest.mark.parametrize(("r", "k", "n4"), [(0.3, 2, 0.3), (0.625, 2, 0.625), (0.9, 2, 0.625), (1.0, 2, 0.625),
                                            (2.0, 2, 5 / 12), (4.0, 2, 0.0), (5.0, 2, 0.0), (0.75, 4, 0.75),
                                            (1.5, 4, 0.75)])
def test_four_fold_boron_of_the_model(r, k, n4):
    assert yun_bray_dell(r, k) == pytest.approx(n4)


def test_the_model_is_continuous_and_refuses_what_it_does_not_cover():
    for k in (1, 2, 4, 8):
        for edge in (0.5 + k / 16, 0.5 + k / 4, 2 + k):
            assert yun_bray_dell(edge - 1e-9, k) == pytest.approx(yun_bray_dell(edge + 1e-9, k), abs=1e-7)
    with pytest.raises(CompositionError, match=r"K = .* = 9"):
        yun_bray_dell(1, 9)
    with pytest.raises(CompositionError, match="no B2O3"):
        ratios(parse("SiO2"))


def test_stages_follow_each_other_and_cool_at_the_rate():
    job = make("standard", {"composition": "SiO2"}, "test")
    stages = job.stages()
    assert [s.name for s in stages] == ["disorder", "melt", "quench", "hold", "relax", "production"]
    assert all(a.last == b.first for a, b in itertools.pairwise(stages)) and stages[0].first == 0
    assert all((s.last - s.first) % job.sample_steps == 0 for s in stages)
    cooling = stages[2]
    assert cooling.last - cooling.first == 64_000  # 3200 K at 25 K/ps in steps of 2 fs
    assert cooling.time(cooling.last) - cooling.start == 128.0  # ps
    assert [cooling.temperature(step) for step in (cooling.first, cooling.first + 32_000, cooling.last)] == [
        3500.0, 1900.0, 300.0]
    assert [s.ensemble for s in stages] == ["langevin", "nvt", "nvt", "nvt", "npt", "nvt"]


def test_the_protocol_of_the_paper():
    job = make("paper", {}, "test")
    stages = {s.name: s for s in job.stages()}
    assert stages["melt"].last - stages["melt"].first == 10_000_000  # 10 ns
    assert stages["quench"].last - stages["quench"].first == 11_750_000  # 4700 K at 0.4 K/ps
    assert (stages["melt"].begin, stages["quench"].end, job.pressure) == (5000.0, 300.0, 1.0)


@pytest.mark.parametrize(("values", "message"), [
    ({"rate": 0.0}, "rate 0; expected a number above 0"),
    ({"melt_temperature": 200.0}, "melt_temperature 200; expected above the glass's 300 K"),
    ({"timestep": 5.0}, "timestep 5 fs; expected at most 3 fs"),
    ({"sample_time": 1.0, "frame_time": 0.3}, "expected a multiple of frame_time"),
    ({"atoms": 5}, "atoms 5; expected at least 20"),
    ({"density": 50.0}, "density 50 g/cm³"),
    ({"seed": -1}, "seed -1"),
])
def test_protocols_without_sense_are_refused(values, message):
    with pytest.raises(ProtocolError, match=message):
        make("standard", values, "test")


def test_unknown_settings_and_protocols_are_named():
    with pytest.raises(ConfigError, match="Did you mean 'melt_time'"):
        make("standard", {"melttime": 1.0}, "test")
    with pytest.raises(ConfigError, match="protocol 'quick'; expected one of standard, paper, slow, fine, fast"):
        make("quick", {}, "test")


def test_a_design_gives_all_glasses_with_their_first_seed_first(tmp_path):
    path = tmp_path / "design.toml"
    path.write_text('seeds = [1, 2]\nrate = 50.0\n[[glass]]\ncomposition = "SiO2"\n[[glass]]\n'
                    'composition = "60SiO2-20B2O3-20Na2O"\nprotocol = "slow"\nrate = 2.0\natoms = 300\n')
    glasses = design.read(path)
    assert [glass.name for glass in glasses] == [
        "SiO2_s1", "60SiO2-20B2O3-20Na2O_slow_n300_s1", "SiO2_s2", "60SiO2-20B2O3-20Na2O_slow_n300_s2"]
    assert [glass.job.rate for glass in glasses] == [50.0, 2.0, 50.0, 2.0]


@pytest.mark.parametrize(("text", "message"), [
    ("seeds = [1]", "no [[glass]] entries"),
    ("[[glass]]\nrate = 5.0", "glass 1: no composition"),
    ('[[glass]]\ncomposition = "SiO2"\nseeds = 3', "expected a list of whole numbers"),
    ('[[glass]]\ncomposition = "SiO2"\n[[glass]]\ncomposition = "SiO2"', "SiO2_s1 stands there twice"),
    ("[[glass", "is not TOML"),
])
def test_faulty_designs_are_named(tmp_path, text, message):
    path = tmp_path / "design.toml"
    path.write_text(text)
    with pytest.raises(DesignError) as error:
        design.read(path)
    assert message in str(error.value)


def test_the_shipped_design_covers_what_it_should():
    table = tomllib.loads(design.shipped_toml())
    standard = [parse(g["composition"]) for g in table["glass"] if g.keys() == {"composition"}]
    assert len(standard) >= 48 and table["seeds"] == [1, 2, 3]
    for dopant in design.DOPANTS:
        assert sum(bool(glass[dopant]) for glass in standard) >= 8
    assert sum(g.get("protocol") == "slow" for g in table["glass"]) == 6
    assert sum("atoms" in g for g in table["glass"]) == 2
    series = {round(ratios(g)[0], 2) for g in standard if g["B2O3"] and not any(g[d] for d in design.DOPANTS)
              and ratios(g)[1] < 4.05}
    assert len(series) >= 6
