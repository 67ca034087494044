"""Does a model keep its accuracy at 1 % of its weights? The recipe of `host reproduce`, on a final set scored once.

    python -m benchmarks.accuracy [--development]

The recipe (host/reproduction/plan.py) was developed on generator seed 101, 200 good and 200 defective test images; the
final set is generator seed 303, 500 and 500 (202 was spent on an earlier recipe, which failed). `medium`, 5 seeds, two
processes of one thread. Bars, under both scores: AUC at 99 % less the control's is at least -0.01 in the mean, its
one-sided 95 % bound at least -0.02; the original beats the best PCA by 0.02. The fall beyond 99 % is shown, and the
same on as many test images as were published. The scores of every image go to benchmarks/results/accuracy.csv. More
than an hour; interrupted, it goes on.
"""

import statistics
import sys
from pathlib import Path

from benchmarks.agents import Quiet
from benchmarks.verdict import machine, tell
from compression.baselines import Baseline, best_pca, mean_image
from compression.calibrate import calibrate
from compression.data.capsule import write_dataset
from compression.data.mvtec import Dataset, read_dataset
from compression.data.prepared import prepare_dataset
from host.progress import Lines, Progress
from host.report.reproduction import accuracy_csv
from host.reproduction import running
from host.reproduction.plan import Experiment, Unit
from host.reproduction.records import Job, Result
from host.reproduction.summary import METHODS, Method, RateSummary, auc_of, summarise
from host.reproduction.unit import scores_of
from inspection.preprocess import Preprocessing

DEVELOPMENT_SEED, FINAL_SEED = 101, 303
EXPERIMENT = Experiment(rates=(0.99, 0.995), comparisons=False)
PROCESSES = 2
AT, LEAST_MEAN, LEAST_BOUND, OVER_PCA = 0.99, -0.01, -0.02, 0.02
FOLDER = Path(__file__).parents[1] / "build" / "accuracy"
CSV = Path(__file__).with_name("results") / "accuracy.csv"


def main(development: bool = False, progress: Progress | None = None) -> bool:
    seed, images = (DEVELOPMENT_SEED, 200) if development else (FINAL_SEED, 500)
    print(f"Accuracy at 99 %: generator seed {seed}, {images} + {images} test images. {machine()}")
    print(f"  {EXPERIMENT}")
    data, folder = FOLDER / f"capsules-{seed}", FOLDER / f"experiment-{seed}"
    write_dataset(data, seed, good=images, bad=images)
    running.open_folder(folder, Job.of(EXPERIMENT, folder, data))
    results = running.run(folder, PROCESSES, progress or Quiet())
    baselines = _baselines(data)
    summaries = summarise(results)
    _show("all test images", summaries)
    _show("23 good and 109 defective test images, as published", summarise(results, published_set=True))
    passed = [_kept(summaries, method) for method in METHODS]
    passed += [_beats_pca(results, baselines, method) for method in METHODS]
    if not development:
        CSV.write_text(accuracy_csv([*results, *baselines.values()]), encoding="utf-8")
        print(f"wrote {CSV}")
    return all(passed)


def _show(what: str, summaries: tuple[RateSummary, ...]) -> None:
    print(f"  {what}, mean over the seeds (standard deviation):")
    for each in summaries:
        told = ", ".join(
            f"{method} {each.auc[method].mean:.4f} ({each.auc[method].std or 0:.4f})" for method in METHODS
        )
        name = "control" if each.kind == "control" else f"{each.rate:.1%}"
        print(f"    {name:8} {each.weights:12,.0f} weights, held-out error {each.held_out_error:.3e}, AUC {told}")


def _kept(summaries: tuple[RateSummary, ...], method: Method) -> bool:
    [at] = [each for each in summaries if each.kind == "rate" and each.rate == AT]
    found = at.difference[method]
    assert found.at_least is not None
    return tell(
        f"{method}: AUC at {AT:.0%} less the control's {found.mean:+.4f}, at least {LEAST_MEAN}; "
        f"bound {found.at_least:+.4f}, at least {LEAST_BOUND}",
        found.mean >= LEAST_MEAN and found.at_least >= LEAST_BOUND,
    )


def _beats_pca(results: tuple[Result, ...], baselines: dict[str, Result], method: Method) -> bool:
    """The originals of all seeds: those that were compressed, with fewer epochs than the controls."""
    ours = statistics.mean(auc_of(each, method) for each in results if each.unit.kind == "original")
    pca, mean = auc_of(baselines["pca"], method), auc_of(baselines["mean image"], method)
    print(f"  {method}: mean image {mean:.4f}, PCA with {baselines['pca'].weights:,} weights {pca:.4f}")
    return tell(
        f"{method}: the original {ours:.4f} beats PCA by {ours - pca:+.4f}, at least {OVER_PCA}", ours - pca >= OVER_PCA
    )


def _baselines(data: Path) -> dict[str, Result]:
    """As results of seed 0: they do not depend on it but by which images are held out."""
    dataset = read_dataset(data)
    preprocessing = Preprocessing(height=128, width=128)
    images = prepare_dataset(dataset, preprocessing, seed=0)
    found = {}
    for name, made in (("mean image", mean_image(images.train)), ("pca", best_pca(images.train, images.held_out))):
        judged = calibrate(made.reconstruct, preprocessing, images)
        assert judged.training_error is not None
        scores = scores_of(made.reconstruct, images.test, judged.training_error)
        found[name] = _as_result(name, made, dataset, scores)
    return found


def _as_result(
    name: str, made: Baseline, dataset: Dataset, scores: tuple[tuple[float, ...], tuple[float, ...]]
) -> Result:
    images = tuple(str(image.path.relative_to(dataset.folder)) for image in dataset.test)
    unit = Unit(0, name)  # type: ignore[arg-type]  # not one that is trained
    return Result(unit, made.weights, 0.0, 0.0, 0, 0.0, images, tuple(dataset.defective.tolist()), *scores, 0.0)


if __name__ == "__main__":
    sys.exit(0 if main("--development" in sys.argv, Lines(sys.stderr)) else 1)
