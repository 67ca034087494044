"""What a bench runs on."""

import io
from pathlib import Path

import bundles
import numpy as np
import pytest
from PIL import Image

from agent import bench_inputs
from agent.arena import Arena
from agent.errors import BadTensorError, TooLargeError
from contract.api import MAX_BENCH_INPUTS


def test_images_are_known_by_their_content() -> None:
    for kind in ("PNG", "JPEG"):
        encoded = io.BytesIO()
        Image.new("RGB", (2, 2)).save(encoded, kind)
        assert bench_inputs.is_image(encoded.getvalue())
    for content in (b"", bytes(100), b"\x89PN", b"BM" + bytes(50)):
        assert not bench_inputs.is_image(content)


@pytest.mark.parametrize("cases", [1, 3, MAX_BENCH_INPUTS, 40])
def test_golden_inputs_one_by_one_and_no_more_than_are_allowed(tmp_path: Path, cases: int) -> None:
    bundle = bundles.null(cases=cases)
    found = bench_inputs.golden(bundles.deployment(tmp_path, bundle))
    assert found == bundle.golden_inputs()[:MAX_BENCH_INPUTS]


def test_each_input_has_a_slot_raw_or_as_an_image(tmp_path: Path) -> None:
    bundle = bundles.inspector()
    deployment = bundles.deployment(tmp_path, bundle)
    encoded = io.BytesIO()
    Image.new("RGB", (8, 8), (255, 255, 255)).save(encoded, "PNG")
    raw = np.full((1, 3, 8, 8), 0.25, np.float32).tobytes()
    arena = Arena(bundle.manifest.signature, 3)
    bench_inputs.fill(arena, deployment, [raw, encoded.getvalue(), raw])
    assert [np.frombuffer(arena.inputs(slot)[0], np.float32).mean() for slot in arena.slots] == [0.25, 1.0, 0.25]
    with pytest.raises(BadTensorError, match="has 767 bytes, the model's inputs take 768"):
        bench_inputs.fill(arena, deployment, [raw, raw, raw[:-1]])
    arena.close()


def test_what_is_sent_is_measured_before_it_is_read(tmp_path: Path) -> None:
    deployment = bundles.deployment(tmp_path, bundles.null())
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"1234")
    with large.open("wb") as file:
        file.truncate(1 << 40)  # sparse
    assert bench_inputs.sent([small, small], deployment) == [b"1234"] * 2
    with pytest.raises(TooLargeError, match=rf"the input large has {1 << 40} bytes, at most {64 << 20} are taken"):
        bench_inputs.sent([small, large], deployment)
