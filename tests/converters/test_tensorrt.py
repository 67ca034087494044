import pytest

from converters.artifact import ArtifactTensor
from converters.signature import Signature, TensorSpec
from converters.tensorrt import artifact_of, newest_opset, strongly_typed


@pytest.mark.parametrize(
    ("version", "opset"),
    [
        ((8, 0, 1), 13),
        ((8, 2, 1, 8), 13),
        ((8, 4), 13),
        ((8, 5, 2, 2), 16),
        ((8, 6, 2), 17),
        ((10, 0), 17),
        ((10, 3, 0, 30), 17),
        ((10, 9), 20),
        ((10, 16, 1), 20),
        ((11,), 24),
        ((11, 4, 1), 24),
        (None, 17),
    ],
)
def test_what_the_parser_of_a_version_reads(version: tuple[int, ...] | None, opset: int) -> None:
    assert newest_opset(version) == opset


def test_from_11_on_the_precision_is_in_the_model() -> None:
    assert [strongly_typed(version) for version in ((8, 2, 1), (10, 16), (11,), (11, 1), None)] == [
        False,
        False,
        True,
        True,
        False,
    ]


def test_below_10_an_engine_has_no_64_bit_integers() -> None:
    image, classes = TensorSpec("image", "float32", (1, 3, 4, 4)), TensorSpec("classes", "int64", (1,))
    signature = Signature((image,), (classes,))
    for version in ((8, 2, 1), (8, 6)):
        artifact = artifact_of(signature, version)
        assert artifact is not None
        assert artifact.inputs == (ArtifactTensor("image", "float32", (1, 3, 4, 4)),)
        assert artifact.outputs == (ArtifactTensor("classes", "int32", (1,)),)
    assert [artifact_of(signature, version) for version in ((10, 3), (11,), None)] == [None] * 3
    assert artifact_of(Signature((image,), (image,)), (8, 2)) is None
