"""A plan's bytes: a head that says who made it where, what the engine is, and the ONNX model."""

import json
import struct

_MAGIC = b"ftrt"
_HEAD = struct.Struct("<4sII16sQQ")  # magic, serialization tag, SM, library version, sizes of the two parts


class NotAPlanError(Exception):
    """Other bytes, or fewer than there must be."""


class Plan(object):
    """`engine` is plain data, as _builder.py made it; `model` the ONNX bytes."""

    def __init__(self, tag, sm, library, engine, model):
        self.tag = tag
        self.sm = sm
        self.library = library
        self.engine = engine
        self.model = model

    def to_bytes(self):
        engine = json.dumps(self.engine).encode()
        head = _HEAD.pack(_MAGIC, self.tag, self.sm, self.library.encode(), len(engine), len(self.model))
        return head + engine + self.model

    @staticmethod
    def read(content):
        """NotAPlanError."""
        content = bytes(content)
        if len(content) < _HEAD.size:
            raise NotAPlanError
        magic, tag, sm, library, engine_size, model_size = _HEAD.unpack_from(content)
        if magic != _MAGIC or len(content) != _HEAD.size + engine_size + model_size:
            raise NotAPlanError
        engine_end = _HEAD.size + engine_size
        engine = json.loads(content[_HEAD.size : engine_end].decode())
        return Plan(tag, sm, library.rstrip(b"\0").decode(), engine, content[engine_end:])
