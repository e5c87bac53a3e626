"""The scripts that judge the networks of liquids, as a user runs them, on trials with the shipped records; and the
verdicts of the judgement on predictions with known errors."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hpctools.liquids.network.metrics import Prediction

ROOT = Path(__file__).parents[2]
DATA = ROOT / "hpctools/data/liquids/validation"
PICTURES = ("liquid_accuracy", "liquid_temperature_transfer", "liquid_potential_transfer")


def python(*words):
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=200)


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    out = tmp_path_factory.mktemp("trials")
    done = python("-m", "hpctools.liquids", "trials", "--data", DATA, "--out", out, "--models", "ridge", "gp/zeroed",
                  "nearest", "--repeats", 2, "--parts", 2, "--t0", 1.0)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


def is_picture(path):
    from matplotlib.image import imread

    picture = imread(path)
    return min(picture.shape[:2]) > 300 and picture[..., :3].std() > 0.03


@pytest.mark.parametrize("script", PICTURES)
def test_figures(trials, tmp_path, script):
    out = tmp_path / "figure.png"
    done = python(f"analysis/{script}.py", trials, "--models", "ridge", "--out", out)
    assert done.returncode == 0, done.stderr
    assert is_picture(out)
    assert "| ridge" in done.stdout.replace("|  ", "| ") and "interpolation in T" in done.stdout
    assert "nearest state (control)" in done.stdout  # controls are there, whatever is asked for


def test_curves_with_lines_of_the_theory(trials, tmp_path):
    done = python("analysis/liquid_curves.py", trials, "--data", DATA, "--model", "ridge", "--states", 2, "--out",
                  tmp_path / "curves.png")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert is_picture(tmp_path / "curves.png")
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| LJ") or line.startswith("| WCA")]
    found = {(row[1].strip(), row[2].strip()): float(row[4]) for row in rows}
    states = {state for state, _ in found}
    assert len(states) == 4
    # at these temperatures the theory is slower than the liquid, so the model is nearer to it
    assert all(found[state, "ridge"] > found[state, "mode-coupling theory"] for state in states)
    for control in ("nearest state (control)", "interpolation in T, ρ, potential (control)"):
        assert all((state, control) in found for state in states)


def test_judgement(trials, tmp_path):
    done = python("analysis/liquid_judgement.py", trials, "--out", tmp_path / "t.csv", "--missed", tmp_path / "missed")
    assert done.returncode == 0, done.stderr
    pictures = sorted((tmp_path / "missed").iterdir())
    assert f"figure: {pictures[0]}" in done.stdout and pictures[0].name.startswith("missed_")
    assert is_picture(pictures[0])
    assert len(pictures) == sum("missed" in line.split("|")[2] for line in done.stdout.splitlines() if "|" in line) > 0
    with open(tmp_path / "t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"ridge", "gp/zeroed", "nearest"} == {row["model"] for row in rows}
    assert {"LJ → WCA, all liquids", "states held out, liquids, T > T_mct"} <= {row["transfer"] for row in rows}
    held = {row["model"]: row for row in rows if row["transfer"] == "states held out, liquids, T > T_mct"}
    assert float(held["ridge"]["r2"]) > float(held["nearest"]["r2"]) > 0
    assert re.search(r"R² ≥ 0.99 .*\| (met|missed|open)", done.stdout)
    assert "WCA → LJ: R² ≥ 0.9" in done.stdout


def test_mistakes_get_one_line(tmp_path, trials):
    for words, expected in (((tmp_path,), "no trials"), ((trials, "--models", "mlp"), "none of mlp was tried")):
        done = python("analysis/liquid_accuracy.py", *words, "--out", tmp_path / "a.png")
        assert done.returncode == 2 and expected in done.stderr and done.stderr.count("\n") == 1


def test_missing_trials_are_told_and_not_compared(trials, tmp_path):
    """Without a part of ridge all models are judged by the states of the others, and no goal is decided."""
    import shutil

    folder = tmp_path / "trials"
    shutil.copytree(trials, folder)
    gone = folder / "states-ridge-full-seed0-part1.h5"
    gone.unlink()
    done = python("analysis/liquid_judgement.py", folder, "--out", tmp_path / "j.csv")
    assert done.returncode == 0, done.stderr
    assert f"1 trials are missing, such as {gone.stem}: what follows is of the states that all" in done.stdout
    with open(tmp_path / "j.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["transfer"].startswith("states held out")]
    for words in {row["transfer"] for row in rows}:
        assert len({row["states"] for row in rows if row["transfer"] == words}) == 1, words
    assert "| met" not in done.stdout and "| missed" not in done.stdout
    # where no state was tried by all, there is nothing to compare
    for pattern in ("states-ridge-*-part1.h5", "states-gp-zeroed-*-part0.h5"):
        for path in folder.glob(pattern):
            path.unlink()
    done = python("analysis/liquid_judgement.py", folder)
    assert done.returncode == 0 and "states: no state was tried by all models yet; left out" in done.stdout
    assert "open (no trials with and without S(k))" in done.stdout
    for path in folder.glob("*.h5"):
        if not path.name.startswith("states"):
            path.unlink()
    done = python("analysis/liquid_judgement.py", folder)
    assert done.returncode == 2 and "no state was tried by all models yet; let the trials finish" in done.stderr
    shutil.copytree(trials, folder, dirs_exist_ok=True)
    gone.unlink()
    # one that is cut off is named, by the script and by the command that makes it
    whole = folder / "states-ridge-full-seed0-part0.h5"
    whole.write_bytes(whole.read_bytes()[:3000])
    again = ("-m", "hpctools.liquids", "trials", "--data", DATA, "--out", folder, "--models", "ridge", "gp/zeroed",
             "nearest", "--repeats", 2, "--parts", 2, "--t0", 1.0)  # fmt: skip
    for words in (("analysis/liquid_accuracy.py", folder, "--out", tmp_path / "a.png"), again):
        done = python(*words)
        assert done.returncode != 0 and f"{whole}: no whole file of a trial" in done.stderr
        assert "Traceback" not in done.stderr
    (folder / "trials.json").write_text("{")
    done = python(*again)
    assert done.returncode != 0 and "trials.json: cannot be read" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def judgement(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "analysis"))
    import liquid_judgement

    return liquid_judgement


def prediction(relative, error=0.0, *, shift=1.0, glass=False, tau=(1.0, 0.5), potential="WCA", covered=0.9):
    """exp(-t/τ) of A and a fifth of it of B; predicted with a constant error and relaxation times off by `shift`."""
    t = np.geomspace(0.01, 20, 40)
    taus = np.where(np.isfinite(tau), tau, 1e3)
    truth = np.exp(-t[:, None] / taus) * [2.0, 0.4]
    F = np.exp(-t[:, None] / (shift * taus)) * [2.0, 0.4] + error
    width = np.where(np.arange(40)[:, None] < covered * 40, 10.0, -10.0)
    return Prediction(potential, 1.2, relative, relative, glass, t, truth, F, truth - width, truth + width,
                      np.array([2.0, 0.4]), np.array(tau), shift * taus, 1.0)


def repeats(make, number=2):
    return {seed: make(seed) for seed in range(number)}


def cold(shift=1.0, number=6, lowest=0.55, **further):
    return [prediction(x, shift=shift, **further) for x in np.linspace(lowest, 0.6, number)]


GLASS = dict(glass=True, tau=(np.nan, np.nan))


def verdicts(judgement, found):
    return {goal.name: goal for goal in judgement.goals(found)}


def test_glasses_do_not_stand_for_cold_liquids(judgement):
    """The coldest liquid counts, and its τ_α must be known."""
    def found(*more, **further):
        return {"LJ": {"gp": repeats(lambda seed: [*cold(1.1, **further), prediction(0.7), *more])}}

    assert verdicts(judgement, found())["tau_LJ"].verdict == "met"
    assert verdicts(judgement, found())["r2_LJ"].verdict == "met"
    warm = verdicts(judgement, found(prediction(0.3, **GLASS), lowest=0.6))["tau_LJ"].verdict
    assert warm.startswith("open") and "coldest liquid at 0.60" in warm
    unknown = verdicts(judgement, found(tau=(np.nan, np.nan)))["tau_LJ"].verdict
    assert unknown.startswith("open") and "coldest liquid at 0.70" in unknown  # not an error of 0
    assert "no liquids with a known" in verdicts(judgement, {"LJ": {"gp": repeats(lambda seed: cold(**GLASS))}})[
        "tau_LJ"].verdict  # fmt: skip
    far = {"LJ": {"gp": repeats(lambda seed: cold(3.0))}}
    assert verdicts(judgement, far)["tau_LJ"].verdict == "missed"


def test_one_state_or_one_repeat_decides_nothing(judgement):
    few = verdicts(judgement, {"LJ": {"gp": repeats(lambda seed: cold(number=1))}})["r2_LJ"].verdict
    assert few.startswith("open") and "1 states, 5 needed" in few
    once = verdicts(judgement, {"LJ": {"gp": repeats(lambda seed: cold(), 1)}})["r2_LJ"].verdict
    assert once.startswith("open") and "one repeat" in once


def held(errors, number=2, count=12):
    """Trials on warm held-out states: models with a constant error each, slightly different in each repeat."""
    return {"states": {name: repeats(lambda seed, error=error: [
        prediction(1.5 + 0.1 * i, error * (1 + 0.01 * seed)) for i in range(count)], number)
        for name, error in errors.items()}}


def test_the_bar_is_the_best_control_without_the_structure(judgement):
    """Permuted ones count; S(k) alone is no bar, and no model that could win."""
    good = {"gp": 0.01, "gp/zeroed": 0.03, "nearest": 0.03, "gp/structure": 0.001}
    goal = verdicts(judgement, held(good))["r2"]
    assert goal.verdict == "met" and goal.model == "gp"
    goal = verdicts(judgement, held(good | {"gp/permuted": 0.008}))["r2"]
    assert goal.verdict == "missed" and "permuted" in goal.found
    assert "one repeat" in verdicts(judgement, held(good, 1))["r2"].verdict  # a difference without an error
    assert "4 states, 10 needed" in verdicts(judgement, held(good, count=4))["r2"].verdict


def test_a_model_beats_a_control_by_many_states(judgement):
    """The interval of the difference holds that of the states it is drawn from, whatever the repeats; a model that is
    better on one state alone beats nothing."""
    from liquid_bins import advantage

    even = held({"gp": 0.01, "gp/zeroed": 0.03})["states"]
    gain, low, high = advantage(even["gp"], even["gp/zeroed"])
    r2 = {name: judgement.merits(even[name])["r2"][0] for name in even}
    assert gain == pytest.approx(r2["gp"] - r2["gp/zeroed"], rel=1e-6) and low == pytest.approx(high, rel=1e-6)
    one = repeats(lambda seed: [prediction(1.5 + 0.1 * i, 0.3 if i == 0 else 0.01) for i in range(12)])
    gain, low, high = advantage(even["gp"], one)
    assert gain > 0.01 and low < 1e-4 < gain < high
    goal = verdicts(judgement, {"states": {"gp": even["gp"], "nearest": one}})["r2"]
    assert goal.verdict == "missed" and "difference 0.0" in goal.found
    assert np.isnan(advantage(even["gp"], {})).all()


def test_goals_of_the_transfer_between_potentials_name_the_best_control(judgement):
    """What S(k) adds there is the difference, whatever the verdict."""
    found = {"LJ": {"gp": repeats(lambda seed: cold()), "nearest": repeats(lambda seed: cold(error=0.02)),
                    "gp/zeroed": repeats(lambda seed: cold(error=0.01)),
                    "gp/structure": repeats(lambda seed: cold())}}
    goals = verdicts(judgement, found)
    assert "best control: interpolation in T, ρ, potential (control) 0." in goals["r2_LJ"].found
    assert "best control: " in goals["tau_LJ"].found and "alone" not in goals["tau_LJ"].found
    del found["LJ"]["nearest"], found["LJ"]["gp/zeroed"]
    assert "no control" in verdicts(judgement, found)["r2_LJ"].found


def test_a_goal_that_is_met_takes_away_its_own_figure_alone(judgement, tmp_path):
    for name in ("missed_r2_LJ.png", "missed_of_mine.png"):
        (tmp_path / name).touch()
    found = {"LJ": {"gp": repeats(lambda seed: cold())}}
    judgement.draw_missed(found, judgement.goals(found), tmp_path)
    assert not (tmp_path / "missed_r2_LJ.png").exists() and (tmp_path / "missed_of_mine.png").exists()


def test_coverage_is_judged_by_range_and_transfer(judgement):
    """Too wide above T_mct and too narrow below do not make a band that is right on average."""
    def mixed(seed):
        return ([prediction(1.2 + i, covered=1.0) for i in range(10)]
                + [prediction(0.7 + 0.01 * i, covered=0.75) for i in range(10)]
                + [prediction(0.3 + 0.01 * i, covered=0.1, **GLASS) for i in range(10)])

    found = verdicts(judgement, {"states": {"gp": repeats(mixed)}, "WCA": {"gp": repeats(mixed)}})
    for transfer in ("states", "WCA"):
        for part, value in (("warm", "1.000"), ("cold", "0.750"), ("glasses", "0.100")):
            goal = found[f"coverage_{transfer}_{part}"]
            assert goal.verdict == "missed by 1 of 1 models" and value in goal.found
    right = verdicts(judgement, {"LJ": {"gp": repeats(lambda seed: cold())}})
    assert right["coverage_LJ_cold"].verdict == "met"


def test_glasses_have_rows_of_their_own(judgement):
    found = {"LJ": {"gp": repeats(lambda seed: [*cold(), prediction(0.3, error=1.0, **GLASS)])}}
    rows = {part.words: judgement.merits(part.of(found["LJ"]["gp"])) for _, part in judgement.sections(found)}
    assert rows["all liquids"]["rmse"][0] < 1e-9 and rows["glasses"]["rmse"][0] == pytest.approx(1.0)
    assert rows["liquids, 0.25 … 0.35"]["states"][0] == 0


def test_what_limits_a_prediction(judgement):
    """Each error is found in its own share; the floor is the noise between seeds."""
    from dataclasses import replace

    import liquid_limits

    exact = prediction(0.6)
    early = np.where((exact.times > 0.011) & (exact.times < 0.2), 0.1 * np.sin(3 * np.log(exact.times)), 0)
    for wrong, part in ((replace(exact, F=1.2 * exact.F), 0), (prediction(0.6, shift=1.3), 1),
                        (replace(exact, F=exact.truth + early[:, None] * [2.0, 0.4]), 2)):
        error, shares, records = liquid_limits.shares([wrong])
        assert records == 1 and error > 0.01
        assert shares[part] > 0.9 and sum(shares) == pytest.approx(1)
    noise = np.random.default_rng(1).normal(0, 0.01, (2, 50, *exact.truth.shape))
    pairs = [replace(exact, temperature=float(i), truth=exact.truth + noise[seed, i]) for i in range(50)
             for seed in range(2)]
    assert liquid_limits.floor(pairs) == pytest.approx(0.01, rel=0.05)
    assert np.isnan(liquid_limits.floor([exact, exact]))  # the same record of two repeats
    # runs of other lengths have other times: on those of one that lie within the other
    longer = [replace(one, times=one.times[::2], truth=one.truth[::2]) if i % 2 else one for i, one in enumerate(pairs)]
    # noise between two points of the other is that of their mean, at half of the times
    assert liquid_limits.floor(longer) == pytest.approx(0.01 * np.sqrt((1 + (1 + 0.5) / 2) / 2), rel=0.05)
    nothing = replace(exact, F=1e-9 * exact.F)  # from nearly 0 on
    assert liquid_limits.shares([nothing])[2] == 0 and liquid_limits.shares([exact, nothing])[2] == 1
    glass = prediction(0.3, **GLASS)
    assert liquid_limits.shares([glass])[2] == 0 and "no record" in liquid_limits.words_of([glass])


def test_an_unknown_floor_has_no_bar(tmp_path, monkeypatch):
    """Without a second seed the figure says that the noise is unknown; with one there is a bar of its height."""
    from dataclasses import replace

    import figures
    import liquid_limits

    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, out: drawn.append(figure.axes[2]))
    one = prediction(0.6, shift=1.3)
    for found in ([one], [one, replace(one, truth=one.truth + 0.02 * np.sin(one.times)[:, None])]):
        liquid_limits.draw("words", "ridge", found, (0.8, 1.0), tmp_path / "limits.png")
    unknown, known = drawn
    assert np.isnan(unknown.patches[-1].get_height()) and [text.get_text() for text in unknown.texts] == ["unknown"]
    assert unknown.get_xlim()[0] < unknown.texts[0].get_position()[0] < unknown.get_xlim()[1]
    assert known.patches[-1].get_height() == pytest.approx(liquid_limits.floor(found)) and not known.texts
