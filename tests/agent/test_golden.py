"""A model is proven by outputs that are known."""

import asyncio
import math
import tracemalloc
from pathlib import Path
from typing import Any

import bundles
import numpy as np
import pytest
import running
import zoo
from bundles import ask, supervised

from agent import golden
from agent.errors import GoldenMismatchError, WorkerCrashedError
from contract.tensors import TensorSpec

NAN, INF = math.nan, math.inf


def sqnr(expected: Any, actual: Any, dtype: str = "float32") -> float:
    reference, got = (memoryview(np.array(values, dtype).tobytes()) for values in (expected, actual))
    return golden.sqnr_db(reference, got, dtype)


@pytest.mark.parametrize(
    ("expected", "actual", "dtype", "wanted_db"),
    [
        ([3, 4], [3, 4], "float32", INF),
        ([3, 4], [3, 3.5], "float64", 20.0),  # 25 to 0.25
        ([10, 0], [10, 1], "int8", 20.0),
        ([100, 100], [100, 0], "uint8", 10 * math.log10(2)),  # no wrap-around
        ([1, 1], [1, 0], "bool", 10 * math.log10(2)),
        ([0, 0], [0, 0], "float16", INF),
        ([0, 0], [0, 1e-6], "float32", -INF),
        ([1e30, 1e30], [1e30, 1e30 * (1 + 1e-3)], "float32", 63.01),  # its squares are beyond float32
        ([1e300, 1e300], [1e300, 1.1e300], "float64", 23.01),  # and these beyond float64
        ([1e-300, 0], [1.1e-300, 0], "float64", 20.0),
        ([1, NAN], [1, NAN], "float32", INF),
        ([1, INF, -INF], [1, INF, -INF], "float32", INF),
        ([1, INF], [1, -INF], "float32", -INF),
        ([1, 2], [1, NAN], "float32", -INF),
        ([1, NAN], [1, 2], "float32", -INF),
        ([3, 4, INF], [3, 3.5, INF], "float32", 20.0),
    ],
)
def test_sqnr(expected: list[float], actual: list[float], dtype: str, wanted_db: float) -> None:
    assert sqnr(expected, actual, dtype) == pytest.approx(wanted_db, abs=0.01)


def test_an_output_of_many_parts_is_one() -> None:
    """The largest value, on which all are scaled, is in the last part; NaN is in the second."""
    expected = np.ones(2 * golden.CHUNK + 3, np.float32)
    expected[-1] = 1e30
    actual = expected * np.float32(1.001)
    expected[golden.CHUNK] = actual[golden.CHUNK] = NAN
    assert sqnr(expected, actual) == pytest.approx(60, abs=0.01)
    actual[golden.CHUNK] = 0
    assert sqnr(expected, actual) == -INF


def test_of_a_large_output_no_copy_is_made() -> None:
    """A board may have 1 GB in all."""
    expected = memoryview(np.ones(1 << 24, np.float32)).cast("B")
    actual = memoryview(np.full(1 << 24, 1.01, np.float32)).cast("B")
    golden.sqnr_db(expected[:4], actual[:4], "float32")  # numpy is imported
    tracemalloc.start()
    try:
        golden.sqnr_db(expected, actual, "float32")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < expected.nbytes


def test_an_echo_differs_in_nothing_and_a_model_in_nothing_much(tmp_path: Path) -> None:
    autoencoder = bundles.ort(zoo.autoencoder())

    async def main() -> None:
        async with supervised(tmp_path, bundles.null(cases=3)) as supervisor:
            assert (await golden.prove(supervisor)).sqnr_db is None
        async with supervised(tmp_path, autoencoder) as supervisor:
            proof = await golden.prove(supervisor)
            assert proof.sqnr_db is None or proof.sqnr_db > 100
            assert supervisor.in_flight == 0

    running.run(main())


def test_several_inputs_and_outputs_of_many_types(tmp_path: Path) -> None:
    mixed = bundles.ort(zoo.mixed(), cases=3)

    async def main() -> None:
        async with supervised(tmp_path, mixed) as supervisor:
            assert (await golden.prove(supervisor)).sqnr_db is None

    running.run(main())


def test_a_model_that_computes_something_else_is_told_with_figure_output_and_case(tmp_path: Path) -> None:
    async def main() -> None:
        bundle = bundles.null(cases=2)
        right = bundle.files["golden/outputs.bin"]
        second_case_off = np.frombuffer(right, np.float32).copy()
        second_case_off[4:] *= 1.1
        async with supervised(
            tmp_path, bundle.with_file("golden/outputs.bin", second_case_off.tobytes())
        ) as supervisor:
            with pytest.raises(GoldenMismatchError, match=r"'x_out' of golden case 1 .* 20\.8 dB .* 60 dB"):
                await golden.prove(supervisor)
            assert supervisor.in_flight == 0

    running.run(main())


def test_the_tolerance_is_the_manifests(tmp_path: Path) -> None:
    async def main() -> None:
        bundle = bundles.null(cases=1, tolerance_db=20)
        off = np.frombuffer(bundle.files["golden/outputs.bin"], np.float32) * np.float32(1.1)
        async with supervised(tmp_path, bundle.with_file("golden/outputs.bin", off.tobytes())) as supervisor:
            assert (await golden.prove(supervisor)).sqnr_db == pytest.approx(20.83, abs=0.01)

    running.run(main())


def test_an_output_that_is_not_finite_is_no_proof_at_any_tolerance(tmp_path: Path) -> None:
    async def main() -> None:
        bundle = bundles.null(cases=1, tolerance_db=-500)
        nan = np.full(4, NAN, np.float32).tobytes()
        async with supervised(tmp_path, bundle.with_file("golden/inputs.bin", nan)) as supervisor:
            with pytest.raises(GoldenMismatchError, match="'x_out' of golden case 0 is not finite"):
                await golden.prove(supervisor)

    running.run(main())


def test_a_crash_in_a_golden_run_is_a_crash(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(crash_on_run=2)) as supervisor:
            with pytest.raises(WorkerCrashedError, match="SIGSEGV"):
                await golden.prove(supervisor)
            assert supervisor.in_flight == 0

    running.run(main())


def test_a_proof_under_load_waits_for_its_turn_and_disturbs_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with supervised(tmp_path, bundles.null(cases=8, delay_ms=1)) as supervisor:

            async def requests(value: int) -> None:
                content = bytes([value]) * 16
                while not proving.done():
                    assert (await ask(supervisor, content))[1] == content

            proving = asyncio.create_task(golden.prove(supervisor))
            await asyncio.gather(*(requests(value) for value in range(3)))
            assert (await proving).sqnr_db is None

    running.run(main())


def test_a_proof_that_is_cancelled_writes_into_no_other_requests_slot(tmp_path: Path) -> None:
    async def main() -> None:
        big = TensorSpec(name="x", dtype="uint8", shape=(1, 4 << 20))
        async with supervised(tmp_path, bundles.null(big, cases=2)) as supervisor:
            content = b"\x55" * big.size_bytes
            for ticks in range(6):
                proving = asyncio.create_task(golden.prove(supervisor))
                for _ in range(ticks):
                    await asyncio.sleep(0)
                proving.cancel()
                await asyncio.wait({proving})
                assert (await ask(supervisor, content))[1] == content

    running.run(main())


def test_odd_sizes_are_read_case_by_case(tmp_path: Path) -> None:
    """Two inputs of different sizes and three cases: every offset counts."""

    async def main() -> None:
        specs = (
            TensorSpec(name="a", dtype="uint8", shape=(3,)),
            TensorSpec(name="b", dtype="int16", shape=(1, 5)),
        )
        async with supervised(tmp_path, bundles.null(*specs, cases=3)) as supervisor:
            assert (await golden.prove(supervisor)).sqnr_db is None

    running.run(main())
