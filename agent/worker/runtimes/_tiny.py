"""A model that any runtime can take, to be run once before anything is measured: the runtime is then initialised."""

TINY_MODEL = bytes.fromhex(
    "080712003a370a100a017812017922084964656e746974791201745a0f0a0178120a0a08080112040a02"
    "0801620f0a0179120a0a08080112040a02080142040a00100d"
)
"""y = Identity(x), one float32, opset 13, IR 7. tests/agent/worker/test_ort.py makes it again and compares."""
