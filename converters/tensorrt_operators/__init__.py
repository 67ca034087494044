"""Whether a board's TensorRT takes a model, as far as a host without a GPU can tell.

``tables``    what NVIDIA published of each version's ONNX parser: operators, element types, restrictions
``sites``     what is known of each node: constants, element types, ranks
``traps``     what a listed operator is refused for all the same
``verdicts``  both together: refused, unknown or parses, for each node
``rtx``       NVIDIA's own parser and builder from TensorRT-RTX, in a process of its own
"""
