"""How well g(r) can be foretold from a composition: models × splits × errors, beside the noise of the simulations.

    python analysis/glass_judgement.py                                         the shipped records
    python analysis/glass_judgement.py results/glasses --runs runs/glasses --out glass_judgement.png
    python analysis/glass_judgement.py --epochs 800                            trains the autoencoders that are missing

Each line is a model in a split. Errors: mean squared error of 64 × 64 plots (as in the paper), median over curves of
the root mean square error of g, and of its ratio to the seeds' noise σ; median over pairs of skill and of explained
share 1 - (MSE - σ²)/(MSE of the pair mean - σ²), the latter over pairs with signal (MSE of the pair mean > 2 σ²); mean
absolute errors of the first peak's position and height, and of the coordination number; coverage of 90 % intervals, of
all bins, of the highest in the first shell, and of the coordination number. Skill and explained share are of pairs with
at least five curves, and of curves whose pair the fold learned from: the others have no pair mean. Where a dopant or
the top is left out, pairs of which no such curve is left to learn from have a line of their own, "other pairs".
Brackets are 90 % bootstrap intervals over glasses.

"shuffled" and p, by glass: compositions are shuffled among the glasses --shuffles times (half as often for the Gaussian
process, which takes half a minute each with 50 glasses), and the model is fitted anew to each. "shuffled" is its mean
skill then, which must not be above 0. p is the permutation test: the share of these fits, and of the real one, with as
high a skill in the pairs with signal as the real one. Without knowledge it is uniform. The mean-force network is fitted
anew --network-shuffles times; p needs 19 times. Of CNN + forest, half as often, the forest is fitted anew, in the same
folds: an autoencoder sees no composition, and that of a fold serves all shuffles.

Intervals of a fold come from the errors in the other folds; those of a left-out dopant or of the top from the split by
glass, without the glasses that are tested. Those of the Gaussian process, which alone learns from curves with 30 counts
or more as well, are in proportion to its own deviations; "plain" is the same over mole fractions, without such curves.
Networks are kept in --runs (python jobs/glass_train.py makes all folds of the autoencoder at once); what a model
predicted is kept there too. --epochs and --force-epochs ask for networks of just so many epochs; without them those
that are there serve. The epochs that were run, and how far each training had converged, stand below the table.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from figures import AnalysisError, check_table, markdown, pyplot, run, save
from glass_learning import parser, r_squared, read
from numpy.typing import NDArray

from hpctools.glasses import errors as measures
from hpctools.glasses.curves import Curves
from hpctools.glasses.errors import Errors, bootstrap, median_explained, median_skill, shares
from hpctools.glasses.fingerprint import Pair
from hpctools.glasses.held_out import LATENT, MEAN_FORCE, MODELS, HeldOut, NotTrained, Runs, held_out
from hpctools.glasses.intervals import LEVEL, Conformal
from hpctools.glasses.permutation import LEAST_SHUFFLES, permutation_test
from hpctools.glasses.splits import SPLITS, SplitError, folds
from hpctools.progress import Progress

Array = NDArray[np.float64]
BASELINE = "pair mean"
GOAL_EXPLAINED, GOAL_ERROR = 0.5, 1.5
TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)  # of root mean square errors
HEAD = ("model", "split", "curves", "image MSE", "RMSE of g", "RMSE/σ", "skill", "explained", "peak [Å]", "height [%]",
        "neighbours", "coverage [%]", "at the peak", "of neighbours", "p", "shuffled")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Row:
    """A model in a split; intervals are (low, high), NaN where there is none. n (tested,) arrays of single curves;
    baseline: squared error of the pair mean, NaN where the fold has not learned from the pair; covered: share of the
    bins inside the interval, and whether the highest of the first shell and the number of neighbours are. others: the
    curves are of pairs of which their fold has none to learn from."""

    model: str
    split: str
    curves: Curves
    errors: Errors
    baseline: Array
    covered: Array
    covered_peak: Array
    covered_neighbours: Array
    others: bool = False
    p: float = np.nan
    shuffled: float = np.nan
    trainings: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The model, with what its row is to be read with."""
        seen = self.model in LATENT and self.split == "random curves"
        return self.model + " (network saw the test curves)" * seen + ", other pairs" * self.others

    def pair_shares(self) -> list[measures.PairShare]:
        """Of each pair."""
        return shares(self.curves.pairs, self.errors.mse, self.baseline, self.curves.noise)

    @cached_property
    def skill(self) -> tuple[float, tuple[float, float]]:
        """Median over pairs, and its interval."""
        return self._with_interval(lambda w: median_skill(self.curves.pairs, self.errors.mse, self.baseline, w))

    @cached_property
    def explained(self) -> tuple[float, tuple[float, float]]:
        """Median over pairs with signal, and its interval."""
        return self._with_interval(lambda w: median_explained(self.curves.pairs, self.errors.mse, self.baseline,
                                                              self.curves.noise, w))

    @cached_property
    def coverage(self) -> tuple[float, tuple[float, float]]:
        """Mean over curves that have an interval, and its own interval."""
        known = np.isfinite(self.covered)
        return self._with_interval(lambda w: w[:, known] @ self.covered[known] / np.maximum(w[:, known].sum(1), 1e-9))

    def _with_interval(self, statistic: Callable[[Array], Array]) -> tuple[float, tuple[float, float]]:
        value = float(statistic(np.ones((1, len(self.curves))))[0])
        return value, bootstrap(self.curves.glass, statistic) if np.isfinite(value) else (np.nan, np.nan)

    def over_noise(self, pairs: Sequence[Pair] | None = None) -> float:
        """Median of RMSE over σ, of the curves (of some pairs) whose noise is known; NaN without any."""
        known = np.isfinite(self.curves.noise)
        if pairs is not None:
            known &= np.array([pair in pairs for pair in self.curves.pairs])
        return float(np.median(np.sqrt(self.errors.mse[known] / self.curves.noise[known]))) if known.any() else np.nan

    def cells(self) -> list[str]:
        """Of the printed table."""
        e = self.errors
        return [
            self.label, self.split, str(len(self.curves)), f"{100 * e.image.mean():.2f} %",
            f"{np.median(np.sqrt(e.mse)):.3f}", _text(self.over_noise()), _with(self.skill), _with(self.explained),
            _text(_mean(np.abs(e.peak)), "{:.3f}"), _text(100 * _mean(np.abs(e.height)), "{:.1f}"),
            f"{np.abs(e.coordination).mean():.3f}", _with(self.coverage, 100),
            _text(100 * _mean(self.covered_peak), "{:.0f}"), _text(100 * _mean(self.covered_neighbours), "{:.0f}"),
            _text(self.p, "{:.3f}"), _text(self.shuffled),
        ]  # fmt: skip


def _mean(values: Array) -> float:
    """Of those that are known."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan


def _text(value: float, form: str = "{:.2f}") -> str:
    return form.format(value) if np.isfinite(value) else "–"


def _with(found: tuple[float, tuple[float, float]], factor: float = 1) -> str:
    value, (low, high) = found
    if not np.isfinite(value):
        return "–"
    digits = 0 if factor == 100 else 2
    text = f"{factor * value:.{digits}f}"
    return text + (f" [{factor * low:.{digits}f}, {factor * high:.{digits}f}]" if np.isfinite(low) else "")


def errors_of(curves: Curves, found: HeldOut, rows: NDArray[np.int64]) -> Errors:
    """Of tested curves."""
    images = None if found.images is None else found.images[rows]
    return measures.of(curves.rows(rows), found.g[rows], found.top[rows], images)


def coverage(curves: Curves, found: HeldOut, calibration: HeldOut | None) -> Array:
    """Of each tested curve, the share of bins inside the interval, and whether (1 or 0) that of the highest bin in the
    first shell holds it, and that of the first element's neighbours (n, 3). calibration: the split by glass, for a
    split whose folds cannot serve each other."""
    covered = np.full((len(curves), 3), np.nan)
    highest = np.argmax(np.where(curves.counting_weights() > 0, curves.g, -1), axis=1)

    def some(table: Array | None, rows: Sequence[int] | NDArray[np.int64]) -> Array | None:
        return None if table is None else table[rows]

    source = found if calibration is None else calibration
    for index in np.unique(found.fold[found.tested]):
        test = np.flatnonzero(found.fold == index)
        known = [row for row in source.tested if row not in set(test)] if calibration is None else [
            row for row in source.tested if curves.glass[row] not in set(curves.glass[test])]
        calibrated = curves.rows(known)
        miss = source.g[known] - calibrated.g
        if len(known) and miss.any():
            query, off = curves.rows(test).query, found.g[test] - curves.g[test]
            made = Conformal.of(calibrated.query, calibrated.glass, miss, some(source.deviation, known))
            covered[test, 0] = made.covered(query, off, some(found.deviation, test))
            inside = np.abs(off) <= made.half_width(query, some(found.deviation, test))
            covered[test, 1] = inside[np.arange(len(test)), highest[test]]
            miss, off = calibrated.neighbours(miss), curves.rows(test).neighbours(off)
            if miss.any():
                made = Conformal.of(calibrated.query, calibrated.glass, miss, some(source.counting, known))
                covered[test, 2] = made.covered(query, off, some(found.counting, test))
    return covered[found.tested]


def squared_errors(curves: Curves, found: HeldOut, base: HeldOut) -> tuple[Array, Array]:
    """Of a model and of the pair mean, of each tested curve (n,); the latter NaN where there is no pair mean."""
    rows = found.tested
    mse, baseline = (((one.g[rows] - curves.g[rows]) ** 2).mean(1) for one in (found, base))
    return mse, np.where(found.learned[rows], baseline, np.nan)


def refitted(name: str, runs: Runs, curves: Curves) -> tuple[Array, Array]:
    """Squared errors by glass of a model and of the pair mean, both fitted to these curves."""
    parts = folds(curves, "by glass")
    return squared_errors(curves, *(held_out(one, curves, parts, runs) for one in (name, BASELINE)))


def refitted_forest(name: str, runs: Runs, curves: Curves, shuffled: Curves) -> tuple[Array, Array]:
    """The same for CNN + forest: forests fitted to `shuffled`, on the autoencoders and in the folds of `curves`."""
    parts = folds(curves, "by glass")
    return squared_errors(curves, held_out(name, curves, parts, runs, labels=shuffled),
                          held_out(BASELINE, curves, parts, runs))


def draws_of(name: str, split: str, shuffles: int, network_shuffles: int) -> int:
    """How often a model is fitted to shuffled compositions in a split; those that are slow half as often as other
    models without a network of their own."""
    if split != "by glass" or name == BASELINE:
        return 0
    if name == MEAN_FORCE:
        return network_shuffles
    slow = name in LATENT or name.startswith("Gaussian process")
    return max(shuffles // 2, min(shuffles, LEAST_SHUFFLES)) if slow else shuffles


def judged(curves: Curves, models: Sequence[str], splits: Sequence[str], runs: Runs, shuffles: int,
           network_shuffles: int) -> tuple[list[Row], list[str]]:
    """The rows that can be made, and a line for each that cannot."""
    total = sum(1 + draws_of(name, split, shuffles, network_shuffles) for split in splits for name in models)
    with Progress(total, "sets of fits", "judged") as progress:
        return _judged(curves, models, splits, runs, (shuffles, network_shuffles),
                       lambda note, number=1: progress.update(progress.done + number, note))


def _judged(curves: Curves, models: Sequence[str], splits: Sequence[str], runs: Runs, draws: tuple[int, int],
            step: Callable[..., None]) -> tuple[list[Row], list[str]]:
    rows, missing = [], []
    made: dict[tuple[str, str], HeldOut] = {}
    order = sorted(splits, key=lambda split: split != "by glass")  # it calibrates others
    for split in order:
        try:
            parts = folds(curves, split)
        except SplitError as error:
            missing.append(f"{error}")
            step("", sum(1 + draws_of(name, split, *draws) for name in models))
            continue
        base = held_out(BASELINE, curves, parts, runs)
        for name in models:
            try:
                found = base if name == BASELINE else held_out(name, curves, parts, runs)
                calibration = None
                if split.startswith("leave"):
                    if ("by glass", name) not in made:
                        made["by glass", name] = held_out(name, curves, folds(curves, "by glass"), runs)
                    calibration = made["by glass", name]
            except (NotTrained, SplitError) as error:
                missing.append(f"{name}, {split}: {error}")
                step("", 1 + draws_of(name, split, *draws))
                continue
            made[split, name] = found
            _, baseline = squared_errors(curves, found, base)
            covered = coverage(curves, found, calibration)
            learned = found.learned[found.tested] | (not split.startswith("leave"))
            row, *others = (
                Row(name, split, curves.rows(found.tested[of]), errors_of(curves, found, found.tested[of]),
                    baseline[of], *covered[of].T, others=rest, trainings=found.trainings)
                for rest, of in ((False, learned), (True, ~learned)) if of.any()
            )  # fmt: skip
            step(f"{name}, {split}")
            if number := draws_of(name, split, *draws):
                fit = partial(refitted_forest, name, runs, curves) if name in LATENT else partial(refitted, name, runs)
                p, skill = permutation_test(curves, fit, number, partial(step, f"{name}, shuffled"))
                row = replace(row, p=p, shuffled=skill)
            rows += [row, *others]
    return sorted(rows, key=lambda row: SPLITS.index(row.split)), missing


def best_of(rows: Sequence[Row]) -> Row | None:
    """By glass, the model with the highest explained share, or skill where noise is not known."""
    known = [row for row in rows if row.split == "by glass" and row.model != BASELINE]
    return max(known, key=lambda row: tuple(np.nan_to_num((row.explained[0], row.skill[0]), nan=-np.inf)), default=None)


def goal_lines(row: Row) -> list[str]:
    """The goals by glass."""
    found = row.pair_shares()
    signal = [share for share in found if share.signal]
    unknown = int((~np.isfinite(row.curves.noise)).sum())
    if unknown == len(row.curves):
        lines = ["explained share and noise floors: waiting for second seeds"]
    else:
        lines = explained_lines(row, signal)
        over = row.over_noise()
        lines.append(f"median error {over:.2f} σ, goal ≤ {GOAL_ERROR}: {_verdict(over <= GOAL_ERROR)}; of the curves "
                     f"of pairs with signal {_text(row.over_noise([share.pair for share in signal]))} σ")
    if 0 < unknown < len(row.curves):
        lines.append(f"{unknown} of {len(row.curves)} curves have no noise floor, for want of second seeds; they and "
                     "the explained shares of their pairs do not count above")
    few = [f"{'-'.join(share.pair)} ({share.curves})" for share in found if share.curves < measures.LEAST_GLASSES]
    if few:
        lines.append(f"not in the explained share: pairs with fewer than {measures.LEAST_GLASSES} curves whose "
                     f"fold learned from the pair (in brackets): {', '.join(few)}")
    value, (low, high) = row.coverage
    if not np.isfinite(low):
        return [*lines, "coverage: too few glasses"]
    return [*lines, f"coverage {100 * value:.0f} % [{100 * low:.0f}, {100 * high:.0f}], goal: {100 * LEVEL:.0f} % "
                    f"inside: {_verdict(low <= LEVEL <= high)}"]


def explained_lines(row: Row, signal: Sequence[measures.PairShare]) -> list[str]:
    """The goal on the explained share, for all pairs with signal and in their median."""
    if not signal:
        return [f"explained share: no pair has signal (MSE of the pair mean > 2 σ² over at least "
                f"{measures.LEAST_GLASSES} glasses)"]
    failing = [share for share in signal if not share.explained > GOAL_EXPLAINED]
    names = ", ".join(f"{'-'.join(share.pair)} {share.explained:.2f}" for share in failing)
    value = row.explained[0]
    return [f"explained share > {GOAL_EXPLAINED} in {len(signal) - len(failing)} of the {len(signal)} pairs with "
            f"signal: {_verdict(not failing)}" + f" ({names})" * bool(failing) + f"; in their median, "
            f"{value:.2f}: {_verdict(value > GOAL_EXPLAINED)}"]


def _verdict(passes: bool) -> str:
    return "met" if passes else "FAILS"


def paper_table(curves: Curves, runs: Runs) -> str:
    """The numbers of the paper on its own terms, and what they are worth."""
    from hpctools.glasses import autoencoder as network
    from hpctools.glasses.held_out import autoencoder
    from hpctools.glasses.models import PairMean
    from hpctools.glasses.splits import fold

    part = fold(curves, "all")
    trainings: list[str] = []
    try:
        trained = autoencoder(curves, part, runs, trainings=trainings)
    except NotTrained as error:
        return f"the paper's own terms: {error}"
    images = trained.images(curves.query, curves.g)
    latents = trained.latents(images)
    decoded = trained.decoded(latents)
    rebuilt = ((decoded - images) ** 2).mean((1, 2))
    read = trained.curves(curves.query, images)
    lossy = float(np.median(np.sqrt(((read - curves.g) ** 2).mean(1) / (curves.g**2).mean(1))))
    again = ((trained.images(curves.query, read) - images) ** 2).mean()
    mean = PairMean()
    mean.fit(curves.rows(part.train))
    plain = ((trained.images(curves.query, mean.predict(curves.query)) - images) ** 2).mean((1, 2))
    blank = (images**2).mean((1, 2))
    dead = f"{(latents.max(0) < 1e-6).sum()} of {latents.shape[1]}"

    def row(words: str, printed: str, errors: Array, of: NDArray[np.int64], alone: bool) -> tuple[str, ...]:
        """An error of images, beside those that it must beat, on the same curves."""
        shown = [f"{values[of].mean():.4f}" for values in (errors, blank, plain, rebuilt)]
        return (words, printed, *shown[:3], shown[3] if alone else "", dead)

    rows = [row(f"reconstruction MSE, learned curves ({trainings[0].split(': ', 1)[1]})", "0.005", rebuilt, part.train,
                False),
            row("reconstruction MSE, test curves", "below 0.006", rebuilt, part.test, False)]
    for kind in ("paper", "fractions"):
        pipeline = network.LatentForest(trained, kind)
        pipeline.fit(curves.rows(part.train))
        guessed = pipeline.predict_latents(curves.query)
        error = ((pipeline.predict_images(curves.query) - images) ** 2).mean((1, 2))
        rows += [row(f"image MSE, test curves, {kind}", "below 0.03", error, part.test, True)]
        for words, printed, of in (("all curves as in the paper", "about 0.92", np.arange(len(curves))),
                                   ("test curves", "", part.test)):
            r2 = f"{r_squared(latents[of], guessed[of]):.3f}"
            rows.append((f"latent R², {words}, {kind}", printed, r2, "", "", "", dead))
    rows += [("MSE of the image of the curve read from the image, no network", "", f"{again:.4f}", "", "", "", ""),
             ("relative RMSE of g of that curve, median", "", f"{lossy:.2f}", "", "", "", "")]
    return markdown(("on the paper's own terms, random curves", "paper", "ours", "a blank image", "the pair mean's",
                     "encoded and decoded alone", "latents that never fire"), rows)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Skill of each model by split, and the errors of the best model beside the noise."""
    plt = pyplot()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), constrained_layout=True)
    splits = [split for split in SPLITS if any(row.split == split for row in rows)]
    names = [name for name in MODELS if any(row.model == name for row in rows) and name != BASELINE]
    for k, split in enumerate(splits):
        for j, name in enumerate(names):
            for row in (row for row in rows if row.split == split and row.model == name and not row.others):
                value, (low, high) = row.skill
                y = j + 0.16 * (k - (len(splits) - 1) / 2)
                left.plot(max(value, -1.5), y, "o", ms=4, color=f"C{k}", label=split if j == 0 else None)
                if np.isfinite(low):
                    left.plot([max(low, -1.5), max(high, -1.5)], [y, y], color=f"C{k}", lw=1)
    left.set(yticks=range(len(names)), yticklabels=names,
             xlabel="skill over the pair mean, median over pairs (left edge: this or less)")
    left.axvline(0, color="0.5", lw=0.8)
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    best = best_of(rows)
    if best is not None:
        known = [share for share in best.pair_shares() if share.curves]
        for share in known:
            name = "-".join(share.pair)
            right.plot(share.baseline**0.5, share.mse**0.5, "o", ms=4, color="C0")
            right.annotate(name, (share.baseline**0.5, share.mse**0.5), fontsize=6.5, xytext=(3, 2),
                           textcoords="offset points")
            if np.isfinite(share.noise):
                right.plot(share.baseline**0.5, share.noise**0.5, "_", ms=7, color="0.4")
        ends = np.array([0.5 * min(s.baseline for s in known) ** 0.5, 1.5 * max(s.baseline for s in known) ** 0.5])
        right.plot(ends, ends, color="0.6", lw=0.8)
        right.set(xscale="log", yscale="log", xlabel="RMSE of g, pair mean", ylabel="RMSE of g; dashes: seeds' noise",
                  title=f"{best.model}, by glass")
        for axis in (right.xaxis, right.yaxis):
            axis.set_ticks(TICKS, [f"{tick:g}" for tick in TICKS])
            axis.set_ticks([], minor=True)
        right.set(xlim=ends)
    save(figure, path)


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """All numbers, a line for each model, split and pair."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("model", "split", "pair", "curves", "rmse", "coverage", "curves_with_pair_mean", "mse",
                         "mse_pair_mean", "noise", "skill", "signal", "explained"))
        for row in rows:
            for share in row.pair_shares():
                of = row.curves.of_pair(share.pair)
                writer.writerow((row.label, row.split, "-".join(share.pair), len(of), row.errors.mse[of].mean() ** 0.5,
                                 _mean(row.covered[of]), share.curves, share.mse, share.baseline, share.noise,
                                 share.skill, int(share.signal), share.explained))


def main() -> None:
    """The command."""
    asked = parser(__doc__, "glass_judgement.png")
    asked.add_argument("--table", type=Path, help="CSV file of all pairs")
    asked.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL",
                        help=f"some of: {'; '.join(MODELS)}")
    asked.add_argument("--splits", nargs="+", choices=SPLITS, default=list(SPLITS), metavar="SPLIT",
                        help=f"some of: {'; '.join(SPLITS)}")
    asked.add_argument("--force-epochs", type=int, default=0,
                       help="of the mean-force network (default: as trained, 300 where it is missing)")
    asked.add_argument("--shuffles", type=int, default=39, metavar="N",
                       help="of compositions, for the permutation test; at least 19 give a p (default 39)")
    asked.add_argument("--network-shuffles", type=int, default=0, metavar="N",
                       help="the same for the mean-force network, which takes five trainings each (default 0)")
    given = asked.parse_args()
    if min(given.shuffles, given.network_shuffles) < 0:
        asked.error(f"--shuffles {given.shuffles}, --network-shuffles {given.network_shuffles}: expected 0 or more")
    if given.table:
        check_table(given.table)
    curves, left, runs, out = read(given)
    if left:
        print("left out, expected pairs in the first shell in brackets:\n  " + "\n  ".join(left))
    runs = replace(runs, force_epochs=given.force_epochs)
    models = list(dict.fromkeys([BASELINE, *given.models]))
    rows, missing = judged(curves, models, given.splits, runs, given.shuffles, given.network_shuffles)
    if not rows:
        raise AnalysisError("no split can be made: " + "; ".join(missing))
    print("\n" + markdown(HEAD, [row.cells() for row in rows], left=(0, 1)))
    trainings = dict.fromkeys(line for row in rows for line in row.trainings)
    if trainings:
        print("\nnetworks:\n  " + "\n  ".join(trainings))
    noise = np.sqrt(curves.noise)
    if np.isfinite(noise).any():
        print(f"\nnoise floor σ of g from seeds: median {np.nanmedian(noise):.3f} over {np.isfinite(noise).sum()} "
              "curves")
    best = best_of(rows)
    if best is not None:
        print(f"\nbest by glass: {best.model}, chosen by these same errors, which flatter it\n  " +
              "\n  ".join(goal_lines(best)))
    if any(name in LATENT for name in models):
        print("\n" + paper_table(curves, runs))
    if missing:
        print("\nnot judged:\n  " + "\n  ".join(missing))
    if given.table:
        write_csv(rows, given.table)
    if {row.model for row in rows} == {BASELINE}:
        print("\nno figure: it compares models with the pair mean; name some by --models")
    else:
        draw(rows, out)


if __name__ == "__main__":
    run(main)
