"""As much of an ONNX file as the stand-in must know, read without the onnx package (field numbers: onnx/onnx.proto)."""

import os

_LENGTH, _VARINT = 2, 0
_FIXED = {1: 8, 5: 4}
EXTERNAL = 1

FLOAT, UINT8, INT8, INT32, INT64, BOOL, FLOAT16, DOUBLE, BFLOAT16 = 1, 2, 3, 6, 7, 9, 10, 11, 16


class NotOnnxError(Exception):
    """The bytes are no ONNX model."""


class ExternalFileError(Exception):
    """A file with constants cannot be read; `path` says which."""

    def __init__(self, path):
        super(ExternalFileError, self).__init__(path)
        self.path = path


def fields(data):
    """(number, wire type, value) of each field; a value is an int or a memoryview. NotOnnxError."""
    data = memoryview(data)
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise NotOnnxError("field 0")
        if wire == _VARINT:
            value, place = _varint(data, place)
        else:
            if wire == _LENGTH:
                size, place = _varint(data, place)
            elif wire in _FIXED:
                size = _FIXED[wire]
            else:
                raise NotOnnxError("wire type %d" % wire)
            if place + size > len(data):
                raise NotOnnxError("cut off")
            value, place = data[place : place + size], place + size
        yield number, wire, value


def _varint(data, place):
    result = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise NotOnnxError("cut off")
        byte = data[place]
        place += 1
        result |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return result, place
        shift += 7


def _signed(number):
    return number - (1 << 64) if number >= 1 << 63 else number


def _all(data, number):
    return [value for found, _, value in fields(data) if found == number]


def _text(data, number):
    found = _all(data, number)
    return bytes(found[-1]).decode("utf-8", "replace") if found else ""


def _number(data, number):
    found = _all(data, number)
    return _signed(found[-1]) if found else 0


class Node(object):
    def __init__(self, data):
        self.inputs = [bytes(it).decode() for it in _all(data, 1)]
        self.outputs = [bytes(it).decode() for it in _all(data, 2)]
        self.name = _text(data, 3)
        self.operator = _text(data, 4)
        self.inner = [Node(node) for graph in _subgraphs(data) for node in _all(graph, 1)]

    def operators(self):
        """Its own and those of the graphs inside it."""
        return [self.operator] + [name for node in self.inner for name in node.operators()]


def _subgraphs(node):
    for attribute in _all(node, 5):
        for number in (6, 11):
            for graph in _all(attribute, number):
                yield graph


class TensorType(object):
    """A graph's input or output. `dims`: None for no fixed number; `dims` None where there is no shape at all."""

    def __init__(self, data):
        self.name = _text(data, 1)
        self.element, self.dims = 0, None
        for kind in _all(data, 2):
            for tensor in _all(kind, 1):
                self.element = _number(tensor, 1)
                for shape in _all(tensor, 2):
                    self.dims = [_dim(it) for it in _all(shape, 1)]


def _dim(data):
    found = _all(data, 1)
    return _signed(found[-1]) if found else None


class Constant(object):
    def __init__(self, data):
        self.name = _text(data, 8)
        self.element = _number(data, 2)
        self.is_external = _number(data, 14) == EXTERNAL
        self.external = {_text(pair, 1): _text(pair, 2) for pair in _all(data, 13)}
        self._data = data

    def is_all_zeros(self):
        """Of whole numbers: as a zero point must be."""
        raw = b"".join(bytes(it) for it in _all(self._data, 9))
        packed = b"".join(bytes(it) for number in (5, 7) for it in _all(self._data, number) if not isinstance(it, int))
        numbers = [it for number in (5, 7) for it in _all(self._data, number) if isinstance(it, int)]
        return not any(raw) and not any(packed) and not any(numbers)


class Model(object):
    """A model; NotOnnxError for bytes that are none. `content` are the bytes."""

    def __init__(self, content):
        self.content = bytes(content)
        try:
            self.ir_version = _number(self.content, 1)
            self.producer = _text(self.content, 2), _text(self.content, 3)
            self.opsets = {_text(it, 1): _number(it, 2) for it in _all(self.content, 8)}
            graph = _all(self.content, 7)[-1]
            self.nodes = [Node(it) for it in _all(graph, 1)]
            self.constants = [Constant(it) for it in _all(graph, 5)]
            self.inputs = [TensorType(it) for it in _all(graph, 11)]
            self.outputs = [TensorType(it) for it in _all(graph, 12)]
        except (NotOnnxError, IndexError, UnicodeDecodeError, AttributeError, TypeError) as error:
            raise NotOnnxError(str(error)) from error

    def with_constants_inside(self, folder):
        """The bytes with what lay in other files of `folder` in them. ExternalFileError."""
        if not any(constant.is_external for constant in self.constants):
            return self.content
        return _rewritten(self.content, 7, lambda graph: _rewritten(graph, 5, lambda tensor: _inside(tensor, folder)))


def _inside(tensor, folder):
    constant = Constant(tensor)
    if not constant.is_external:
        return bytes(tensor)
    path = os.path.join(folder, constant.external["location"])
    try:
        with open(path, "rb") as file:
            file.seek(int(constant.external.get("offset", 0)))
            content = file.read(int(constant.external["length"])) if "length" in constant.external else file.read()
    except OSError as error:
        raise ExternalFileError(path) from error
    kept = b"".join(_field(number, wire, value) for number, wire, value in fields(tensor) if number not in (9, 13, 14))
    return kept + _field(9, _LENGTH, content)


def _rewritten(message, number, change):
    """The message with each of its fields `number` changed."""
    return b"".join(
        _field(found, wire, change(value) if found == number else value) for found, wire, value in fields(message)
    )


def _field(number, wire, value):
    tag = _varint_bytes(number << 3 | wire)
    if wire == _VARINT:
        return tag + _varint_bytes(value)
    content = bytes(value)
    return tag + (_varint_bytes(len(content)) if wire == _LENGTH else b"") + content


def _varint_bytes(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
