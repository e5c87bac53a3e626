"""The data set from the shipped records, images of its curves, and what is read off a curve."""

from dataclasses import replace

import numpy as np
import pytest

from hpctools.glasses import curves, images, record
from hpctools.glasses.errors import of
from hpctools.glasses.shells import coordination_number, end_of_first_shell, first_peak, shell_volumes
from hpctools.glasses.splits import SplitError, by_glass, fold, folds

SILICA = curves.LIBRARY / "SiO2_bmp-shrm_s1.h5"


@pytest.fixture(scope="module")
def silica():
    """The shipped record of silica as a data set."""
    return curves.gather([record.read(SILICA)])


def test_curve_from_counts_by_hand(silica):
    one = record.read(SILICA)
    row = silica.of_pair(("Si", "O"))[0]
    counts = one.data["distances"][one.pairs.index(("Si", "O"))].astype(float)
    atoms, a = one.listed("atoms"), one.attributes
    shell = 4 / 3 * np.pi * (1.7**3 - 1.6**3)
    expected = counts[80:85].sum() * a["volume_angstrom3"] / (a["frames"] * atoms["Si"] * atoms["O"] * shell)
    assert silica.g.shape == (3, 100) and silica.r[16] == pytest.approx(1.65)
    assert silica.g[row, 16] == pytest.approx(expected, rel=1e-12)
    # expected pairs in the first shell: of one configuration, here with its own g the bonds themselves
    bonds = counts[:110].sum() / a["frames"]
    assert silica.expected[row] == pytest.approx(bonds, rel=1e-6)
    assert silica.densities[row] == pytest.approx([atoms[e] / a["volume_angstrom3"] for e in ("Si", "O")])


def test_coordination_of_silica(silica):
    """Four oxygens of a silicon, as counted atom by atom; and n_ab ρ_a = n_ba ρ_b."""
    row = silica.of_pair(("Si", "O"))[0]
    si, o = silica.densities[row]
    forth = coordination_number(silica.r, silica.g[row], o, 2.2)
    assert forth == pytest.approx(record.read(SILICA).coordination("Si"), abs=1e-6)
    assert forth * si == pytest.approx(coordination_number(silica.r, silica.g[row], si, 2.2) * o)
    # an ideal gas: the volume of the sphere
    ideal = coordination_number(silica.r, np.ones(100), 0.1, 3.0)
    assert ideal == pytest.approx(0.1 * 4 / 3 * np.pi * 27)
    assert shell_volumes(silica.r).sum() == pytest.approx(4 / 3 * np.pi * 1000)


def altered(one, seed=None, name="other.h5", **settings):
    """A record with another seed or other settings, its counts the same."""
    text = one.attributes["config_toml"]
    for key, value in settings.items():
        text = "\n".join(f"{key} = {value}" if line.startswith(f"{key} =") else line for line in text.splitlines())
    attributes = {**one.attributes, "config_toml": text, "seed": one.attributes["seed"] if seed is None else seed}
    return replace(one, path=one.path.with_name(name), attributes=attributes)


def test_only_different_seeds_of_the_same_thing_are_pooled():
    one = record.read(SILICA)
    found = curves.gather([one, altered(one, 2, "two.h5"), altered(one, 2, "copy.h5"),
                           altered(one, 3, "hot.h5", pressure=50000.0), altered(one, 4, "kept.h5", restart_time=3.0)])
    assert set(found.seeds) == {3}, "seeds 1, 2 and 4"
    text = "\n".join(found.left_out)
    assert "copy.h5: the same glass and seed as" in text and "hot.h5: pressure 50000, others 1" in text
    assert len(found.left_out) == 2
    # another file of the same name: by its numbers, not by its words
    note = {"force_field_sha256": "0" * 64}
    again = replace(one, attributes={**one.attributes, **note, "seed": 5}, path=one.path.with_name("five.h5"))
    assert set(curves.gather([one, again]).seeds) == {2}
    again.attributes["force_field_numbers"] = one.attributes["force_field_numbers"].replace("7.093669", "7.2")
    mixed = curves.gather([one, altered(one, 2), again])
    assert set(mixed.seeds) == {2} and "field bmp-shrm (2), others bmp-shrm" in mixed.left_out[0]
    larger = replace(one, path=one.path.with_name("large.h5"), attributes={
        **one.attributes, "atoms": '{"Si": 1000, "O": 2000}', "seed": 1})
    assert "large.h5: 3000 atoms" in curves.gather([one, altered(one, 2), larger]).left_out[0]


def test_shipped_records_of_other_fields_are_named():
    found = curves.gather(curves.find([curves.LIBRARY]))
    others = list(curves.LIBRARY.glob("*_bmp-shrm_s*.h5"))
    assert len([line for line in found.left_out if "field bmp-shrm, others bmp-shrm-smooth" in line]) == len(others) > 2


def test_first_peak_and_first_shell(silica):
    r = silica.r
    position, height = first_peak(r, 3 - 2 * (r - 2.437) ** 2)  # a parabola is found exactly
    assert position == pytest.approx(2.437) and height == pytest.approx(3)
    row = silica.of_pair(("Si", "O"))[0]
    fine = record.read(SILICA).first_peak(("Si", "O"))
    assert first_peak(r, silica.g[row])[0] == pytest.approx(fine, abs=0.03)
    assert silica.cutoffs["Si", "O"] == 2.2
    assert 3.0 <= silica.cutoffs["O", "O"] <= 3.5 and 3.3 <= silica.cutoffs["Si", "Si"] <= 3.9
    flat = np.where(r < 2, 0.0, 1.0)
    flat[25], flat[33] = 5, 0.2
    assert 3.1 <= end_of_first_shell(("Na", "Na"), r, flat) <= 3.6


def test_a_shoulder_is_no_first_shell(silica):
    """Ti-Ti of the library rises from 3 to 5 Å: it has no peak below 4.5 Å, and its shell ends there."""
    r = silica.r
    rising = np.clip(r - 3, 0, 1.9)
    assert np.isnan(first_peak(r, rising)).all() and np.isnan(first_peak(r, rising[::-1], 6, 8)).all()
    assert np.isnan(first_peak(r, np.zeros(len(r)))).all(), "no neighbour at all"
    assert np.isnan(first_peak(r[:44], rising[:44])).all(), "a curve that ends on the flank"
    assert end_of_first_shell(("Ti", "Ti"), r, rising) == 4.5
    assert end_of_first_shell(("Ti", "Ti"), r[:40], rising[:40]) == 4.0
    found = curves.gather(curves.find([curves.LIBRARY]))
    assert found.cutoffs["Ti", "Ti"] == 4.5 and found.cutoffs["Ba", "Ba"] > 5


def test_noise_from_seeds_is_that_of_resampled_counts():
    """Counts resampled from real ones with Poisson's variance: σ² is this variance over the number of seeds."""
    one = record.read(SILICA)
    rng = np.random.default_rng(3)
    seeds, trials, found = 3, 60, []
    counts = one.data["distances"].astype(float)
    for _ in range(trials):
        drawn = [replace(altered(one, seed), data={**one.data, "distances": rng.poisson(counts)})
                 for seed in range(seeds)]
        found.append(curves.gather(drawn).variance)
    rebinned = counts.reshape(3, 100, 5).sum(2)
    g = curves.gather([one]).g
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(rebinned > 0, g**2 / rebinned, 0.0) / seeds
    ratio = np.mean(found, 0).sum(1) / expected.sum(1)
    # the relative error of a variance of 3 over 60 trials and some tens of bins
    np.testing.assert_allclose(ratio, 1, atol=0.1)


def test_one_seed_takes_the_noise_of_others():
    """Two seeds of one glass, one of another: the variance of a mean goes as one over the expected counts."""
    one, other = record.read(SILICA), record.read(curves.LIBRARY / "40SiO2-40B2O3-20Na2O_bmp-shrm_s1.h5")
    rng = np.random.default_rng(1)
    second = replace(altered(one, 2), data={**one.data, "distances": rng.poisson(one.data["distances"].astype(float))})
    found = curves.gather([one, second, other])
    rows = found.of_pair(("O", "O"))
    single = rows[found.seeds[rows] == 1][0]
    double = rows[found.seeds[rows] == 2][0]
    np.testing.assert_allclose(found.variance[single] * found.expected[single],
                               found.variance[double] * found.expected[double])
    assert np.isnan(found.variance[found.of_pair(("B", "O"))]).all(), "no glass with boron has two seeds"
    # three seeds in all of silica's pairs: counts add up over seeds
    assert found.expected[double] == pytest.approx(2 * curves.gather([one]).expected[2], rel=0.05)


def test_rare_pairs_are_listed_not_learned():
    found = curves.gather(curves.find([curves.LIBRARY]))
    kept, left = found.with_enough(300)
    assert len(kept) + sum(line.count("(") for line in left) == len(found)
    assert (kept.expected > 300).all() and len(kept.known_pairs) >= 3
    everything, none = found.with_enough(0)
    assert len(everything) == len(found) and not none


def test_too_small_a_box_and_no_records_are_named(tmp_path):
    one = record.read(SILICA)
    small = replace(one, attributes={**one.attributes, "reach_angstrom": 8.5})
    with pytest.raises(curves.CurvesError, match=r"reaches 8.50 Å, half its box"):
        curves.gather([small])
    assert curves.gather([small], reach=8.0).g.shape == (3, 80)
    assert curves.gather([small], reach=8.49).g.shape == (3, 84), "no bin is counted in part"
    with pytest.raises(curves.CurvesError, match=f"no records .* in {tmp_path}; make some"):
        curves.find([SILICA.parent, tmp_path])
    with pytest.raises(curves.CurvesError, match="no records"):
        curves.find([tmp_path])


def test_other_protocols_do_not_mix():
    """Of two cooling rates the commoner counts; of two time steps too."""
    one = record.read(SILICA)
    found = curves.gather([one, altered(one, rate=5.0), altered(one, 2)])
    assert list(found.seeds) == [2, 2, 2]
    assert one.hot_timestep == 2
    short = [altered(one, seed, hot_timestep=1.0) for seed in (1, 2, 3)]
    assert list(curves.gather([one, *short, altered(one, 2)]).seeds) == [3, 3, 3]


def test_too_few_glasses_for_a_split(silica):
    for split, message in (("by glass", "found 1 glass, expected at least 5"), ("leave a dopant out", "BaO"),
                           ("leave the top out", "16 mol %"), ("random curves", "found 3 curves")):
        with pytest.raises(SplitError, match=message):
            folds(silica, split)
    with pytest.raises(SplitError):
        by_glass(silica)
    with pytest.raises(SplitError, match="found 1 glass,"):
        fold(silica, "glass-1")
    for name, what in (("without-top", "at least 16 mol % of a dopant"), ("without-BaO", "BaO")):
        with pytest.raises(SplitError, match=f"fold {name}: expected some glasses with {what} and some others; fou"):
            fold(silica, name)
    with pytest.raises(SplitError, match="fold without-MgO: unknown"):
        fold(silica, "without-MgO")


# --- images


def test_bars_lose_nothing(silica):
    top = images.Axes.of(silica).top(silica.query)
    pictures = images.encode("bars", silica.g, top)
    assert pictures.shape == (3, 64, 64) and pictures.min() >= 0 and pictures.max() <= 1
    np.testing.assert_allclose(images.decode("bars", pictures, top, 100), silica.g, atol=1e-12)


def test_a_flat_line_is_drawn_and_read_exactly():
    """Value 0.5 of an axis to 1: rows 31 and 32 of 0 … 63 share the line; a value on a row's centre fills it alone."""
    picture = images.encode("raster", np.full((1, 100), 0.5), np.ones(1))[0]
    np.testing.assert_allclose(picture[31:33, 1:-1], 0.5)
    assert picture[:31].max() == picture[33:].max() == 0
    for value in (0.0, 0.3, 10 / 63, 1.0):
        g = np.full((1, 100), value)
        found = images.decode("raster", images.encode("raster", g, np.ones(1)), np.ones(1), 100)
        np.testing.assert_allclose(found, g, atol=1.1 / 64 if value in (0.0, 1.0) else 0.003)


def test_what_a_plot_of_silica_is_worth(silica):
    """A blank image is as good as a few per cent, and a plot read back loses a good part of the sharp peaks."""
    top = images.Axes.of(silica).top(silica.query)
    pictures = images.encode("raster", silica.g, top)
    blank = (pictures**2).mean((1, 2))
    assert (blank > 0.015).all() and (blank < 0.05).all()
    read = images.decode("raster", pictures, top, 100)
    lost = np.sqrt(((read - silica.g) ** 2).mean(1) / (silica.g**2).mean(1))
    assert (lost[:2] > 0.1).all() and (lost < 0.6).all()
    # the tail, which is smooth, is read well
    np.testing.assert_allclose(read[:, 60:].mean(1), silica.g[:, 60:].mean(1), atol=0.02 * top.max())
    errors = of(silica, silica.g, top)
    assert not errors.mse.any() and not errors.image.any() and not errors.coordination.any()
