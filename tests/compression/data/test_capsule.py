import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label

from compression.data import capsule
from compression.data.capsule import DEFECTS, LINE, STUDIO, photograph, photograph_with_mask, write_dataset
from compression.data.errors import FolderTakenError
from compression.data.mvtec import load_images, load_masks, read_dataset
from inspection.preprocess import Preprocessing

KINDS = sorted(DEFECTS)
NOISELESS_LINE = replace(LINE, noise=0)
MVTEC_KINDS = ["crack", "faulty_imprint", "poke", "scratch", "squeeze"]


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def test_a_seed_is_a_picture() -> None:
    picture = photograph(7)
    assert (picture.mode, picture.size) == ("RGB", (256, 256))
    assert picture.tobytes() == photograph(7).tobytes()
    assert picture.tobytes() != photograph(8).tobytes()
    assert photograph((1, 2)).tobytes() != photograph((2, 1)).tobytes()


def test_has_the_kinds_of_mvtecs_capsule() -> None:
    assert KINDS == MVTEC_KINDS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(6))
def test_a_defect_is_all_that_differs_from_its_good_twin(kind: str, seed: int) -> None:
    difference = np.abs(pixels(photograph(seed, kind)) - pixels(photograph(seed))).max(axis=2)
    assert 20 < np.count_nonzero(difference > 25) < 1500  # visible, and small
    assert max(difference[:40].max(), difference[-40:].max()) <= 1  # it stays on the capsule


def test_defects_vary_with_the_seed() -> None:
    marks = [np.abs(pixels(photograph(seed, "poke")) - pixels(photograph(seed))).max(axis=2) > 40 for seed in range(3)]
    assert not (marks[0] & marks[1] & marks[2]).any()


def test_good_capsules_in_the_studio_differ_by_little() -> None:
    first, second = pixels(photograph(1)), pixels(photograph(2))
    assert 1 < np.abs(first - second).mean() < 8


@pytest.mark.parametrize("variation", [STUDIO, NOISELESS_LINE])
@pytest.mark.parametrize("kind", [None, *KINDS])
def test_another_size_shows_the_same_capsule(kind: str | None, variation: capsule.Variation) -> None:
    small = photograph(3, kind, 128, variation)
    assert small.size == (128, 128)
    shrunk = photograph(3, kind, 256, variation).resize((128, 128), Image.Resampling.BOX)
    assert np.abs(pixels(small) - pixels(shrunk)).mean() < 3


def test_the_cap_is_blue_and_the_body_is_not() -> None:
    picture = pixels(photograph(0))
    cap, body = picture[145, 50], picture[100, 200]
    assert cap[2] > cap[0] + 40
    assert body[0] > body[2] + 20


def test_on_the_line_a_capsule_stays_in_the_picture() -> None:
    for seed in range(30):
        picture = pixels(photograph(seed, size=64, variation=NOISELESS_LINE))
        border = np.concatenate((picture[0], picture[-1], picture[:, 0], picture[:, -1]))
        assert (border.max(axis=1) - border.min(axis=1) < 40).all()  # grey: the table alone


def error_of_principal_components(variation: capsule.Variation) -> float:
    """Mean squared error of 30 unseen good capsules under 30 components of 60 others."""
    shown = np.stack([pixels(photograph((0, seed), size=64, variation=variation)).ravel() for seed in range(90)]) / 255
    mean = shown[:60].mean(axis=0)
    basis = np.linalg.svd(shown[:60] - mean, full_matrices=False)[2][:30]
    unseen = shown[60:] - mean
    return float(np.mean((unseen - unseen @ basis.T @ basis) ** 2))


def test_the_line_is_not_linear() -> None:
    """In the studio hardly more than noise is left, on the line as much again."""
    studio, line = (error_of_principal_components(variation) / variation.noise**2 for variation in (STUDIO, LINE))
    assert studio == pytest.approx(1, rel=0.2)
    assert line > 1.3


def test_a_mask_is_where_the_picture_changes() -> None:
    for kind in KINDS:
        picture, mask = photograph_with_mask(5, kind, 128, LINE)
        change = np.abs(pixels(picture) - pixels(photograph(5, size=128, variation=LINE))).max(axis=2)
        assert mask.shape == (128, 128)
        assert 5 < np.count_nonzero(mask) < 1000
        assert change[mask].mean() > 10 * change[~mask].mean()


def test_a_good_capsule_has_an_empty_mask() -> None:
    assert not photograph_with_mask(5, None, 128, LINE)[1].any()


@pytest.mark.parametrize("kind", KINDS)
def test_severity_goes_from_hardly_visible_to_obvious(kind: str) -> None:
    def change(severity: float) -> float:
        changes = [
            np.square(pixels(photograph_with_mask(seed, kind, 128, STUDIO, severity)[0]) - good).sum()
            for seed, good in enumerate(goods)
        ]
        return float(np.mean(changes))

    goods = [pixels(photograph(seed, size=128)) for seed in range(8)]
    assert 100 < change(0) < change(0.5) < change(1) < change(2)
    assert change(1) > 5 * change(0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_severity_that_is_not_given_is_within_the_variations_range(kind: str) -> None:
    severe = replace(LINE, severity=(2.0, 2.0))
    drawn, mask = photograph_with_mask(5, kind, 64, severe, severity=None)
    given, given_mask = photograph_with_mask(5, kind, 64, severe, severity=2.0)
    assert drawn.tobytes() == given.tobytes()
    assert (mask == given_mask).all()


def test_noise_is_as_strong_as_said() -> None:
    quiet, noisy = (pixels(photograph(4, variation=replace(STUDIO, noise=noise))) for noise in (0, 0.05))
    assert (noisy - quiet)[:40].std() / 255 == pytest.approx(0.05, rel=0.03)


def test_a_lens_out_of_focus_softens_the_outline() -> None:
    sharp, soft = (pixels(photograph(4, variation=replace(STUDIO, noise=0, blur=blur))) for blur in (0, 4))
    assert np.abs(np.diff(soft, axis=0)).max() < 0.5 * np.abs(np.diff(sharp, axis=0)).max()
    light_soft, light_sharp = (((picture / 255) ** 2.2).mean() for picture in (soft, sharp))
    assert light_soft == pytest.approx(light_sharp, rel=0.005)


def test_a_bold_imprint_has_more_ink() -> None:
    thin, bold = (pixels(photograph(4, variation=replace(STUDIO, noise=0, bold=bold))) for bold in (0, 1))
    assert (bold - thin).max() <= 2
    assert np.count_nonzero((thin - bold).max(axis=2) > 40) > 200


def test_masks_are_of_one_piece_mostly() -> None:
    masks = [photograph_with_mask(seed, kind, 128, LINE)[1] for kind in KINDS for seed in range(6)]
    pieces = [label(mask, np.ones((3, 3)))[1] for mask in masks]
    assert 1 <= np.mean(pieces) < 2.5


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_small(folder: Path, **changes: int) -> None:
    write_dataset(folder, **{"seed": 4, "train": 3, "good": 2, "bad": 7, "size": 64, **changes})


def test_writes_the_layout_that_is_read(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_dataset(tmp_path / "new" / "set", 4, 3, 2, 7, 64, on_image=lambda done, total: seen.append((done, total)))
    dataset = read_dataset(tmp_path / "new" / "set")
    assert len(dataset.train) == 3
    assert dataset.kinds == ("good", "good", "crack", "crack", "faulty_imprint", "faulty_imprint", *KINDS[2:])
    images = load_images(dataset, [image.path for image in dataset.test], Preprocessing(height=64, width=64))
    assert images.shape == (9, 3, 64, 64)
    masks = load_masks(dataset, 64, 64)
    assert (masks.any(axis=(1, 2)) == dataset.defective).all()
    assert seen == [(done, 12) for done in range(1, 13)]


def test_the_default_is_as_large_as_mvtecs_capsule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.new("RGB", (2, 2)), np.ones((2, 2), bool)
    monkeypatch.setattr(capsule, "photograph_with_mask", lambda *_arguments, **_named: picture)
    write_dataset(tmp_path)
    dataset = read_dataset(tmp_path)
    assert len(dataset.train) == 219
    assert [dataset.kinds.count(kind) for kind in ("good", *KINDS)] == [23, 22, 22, 22, 22, 21]


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    write_small(tmp_path / "a")
    write_small(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path: Path) -> None:
    write_small(tmp_path / "few")
    write_small(tmp_path / "more", train=4, good=1, bad=9)
    few, more = contents(tmp_path / "few"), contents(tmp_path / "more")
    shared = (set(few) & set(more)) - {"capsule.json"}
    assert len(shared) == 3 + 1 + 7 * 2
    assert all(few[name] == more[name] for name in shared)


def test_no_two_images_are_equal_and_another_seed_has_others(tmp_path: Path) -> None:
    write_small(tmp_path / "a")
    write_small(tmp_path / "b", seed=5)
    pictures = [
        content for name, content in [*contents(tmp_path / "a").items(), *contents(tmp_path / "b").items()]
        if name.endswith(".png") and "mask" not in name
    ]  # fmt: skip
    assert len(set(pictures)) == len(pictures) == 24


def interrupted(done: int, total: int) -> None:
    if done == 8:
        raise KeyboardInterrupt


def test_an_interrupted_run_is_finished_and_whole_images_are_kept(tmp_path: Path) -> None:
    write_small(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "cut", 4, 3, 2, 7, 64, on_image=interrupted)
    kept = tmp_path / "cut" / "train/good/000.png"
    before = kept.stat().st_mtime_ns
    write_small(tmp_path / "cut")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:100], lambda data: b"what?"])
def test_a_broken_image_is_made_anew(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write_small(tmp_path)
    whole = contents(tmp_path)
    path = tmp_path / "test/crack/001.png"
    path.write_bytes(damage(path.read_bytes()))
    (tmp_path / "test/poke/000.png").unlink()
    write_small(tmp_path)
    assert contents(tmp_path) == whole


def test_a_missing_mask_is_made_anew(tmp_path: Path) -> None:
    write_small(tmp_path)
    whole = contents(tmp_path)
    (tmp_path / "ground_truth/poke/000_mask.png").unlink()
    write_small(tmp_path)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("change", [{"seed": 5}, {"good": 1}, {"size": 128}])
def test_another_data_set_in_the_folder_stays_as_it_is(tmp_path: Path, change: dict[str, int]) -> None:
    write_small(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(FolderTakenError, match=r'another data set: .*"seed": 4') as caught:
        write_small(tmp_path, **change)
    assert "another folder" in caught.value.hint
    assert contents(tmp_path) == before


def test_a_users_own_folder_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(FolderTakenError, match="not empty"):
        write_small(tmp_path)
    with pytest.raises(FolderTakenError, match="not empty"):
        write_small(tmp_path / "thesis.txt")
    assert contents(tmp_path) == {"thesis.txt": b"mine"}


def test_an_empty_folder_is_used_and_so_is_one_whose_making_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / ".capsule.json.part").write_text('{"se')
    write_small(tmp_path, train=1, good=1, bad=1)
    assert set(contents(tmp_path)) == {
        "capsule.json",
        "train/good/000.png",
        "test/good/000.png",
        "test/crack/000.png",
        "ground_truth/crack/000_mask.png",
    }
    assert json.loads((tmp_path / "capsule.json").read_text())["seed"] == 4


def test_351_images_take_seconds() -> None:
    durations = []
    for seed in range(12):
        start = time.process_time()
        picture, _ = photograph_with_mask((0, 2, seed), KINDS[seed % 5], 128, LINE, None)
        picture.save(io.BytesIO(), "PNG")
        durations.append(time.process_time() - start)
    assert np.median(durations) * 351 < 10
