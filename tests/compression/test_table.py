import json

import onnx
import pytest
import zoo
from kernels import autoencoder

from compression.compress import compress
from compression.errors import NotCompressedError
from compression.table import METADATA_KEY, read_table


def test_the_table_travels_with_the_model_beside_what_was_there() -> None:
    original = autoencoder()
    compressed = compress(original, 0.9)
    assert read_table(onnx.load_from_string(compressed.model.SerializeToString())) == compressed.table
    metadata = {entry.key: entry.value for entry in compressed.model.metadata_props}
    assert set(metadata) == {"boardfit", METADATA_KEY}
    assert json.loads(metadata["boardfit"]) == json.loads(original.metadata_props[0].value)
    assert [each.version for each in compressed.model.opset_import] == [13]


@pytest.mark.parametrize("text", [None, "{", "[]", '{"layers": [{}]}', '{"layers": [], "more": 1}'])
def test_a_model_without_a_table_is_none_of_ours(text: str | None) -> None:
    model = zoo.convolution(metadata={} if text is None else {METADATA_KEY: text})
    with pytest.raises(NotCompressedError):
        read_table(model)
