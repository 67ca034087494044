"""Reads what NVIDIA's own bindings offer out of a wheel of them; the tests hold the table to what was read.

    pip download --no-deps --only-binary :all: --python-version 3.10 tensorrt-cu12-bindings==10.3.0
    python3.10 tests/tensorrt_stand_in/record.py tensorrt_cu12_bindings-10.3.0-*.whl > recorded/10.3.0.json

The wheel of the bindings is small; TensorRT's libraries are gigabytes and only have to be there for it to be imported.
Empty ones stand in for them, with the few functions that are asked for by name. Needs Linux on x86-64, a C compiler,
and the Python the wheel is for; the tests need none of these. What is written down are names, arguments and types.
"""

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# What pybind11 adds to every class, and NVIDIA's deprecated `with`.
NOISE = {
    "__module__", "__doc__", "__dict__", "__weakref__", "__new__", "__enter__", "__exit__", "_pybind11_conduit_v1_",
}  # fmt: skip

# The same type in the words of pybind11 2 and 3.
TYPE_NAMES = (
    (r"tensorrt_bindings\.tensorrt\.", ""),
    (r"nvonnxparser::IParserError", "ParserError"),
    (r"nvinfer1::(v_\d_\d::)?IEngineInspector", "EngineInspector"),
    (r"nvonnxparser::|nvinfer1::(v_\d_\d::)?", ""),
    (r"ILogger::", "ILogger."),
    (r"collections\.abc\.Sequence", "List"),
    (r"typing\.Supports(Int|Index)( \| typing\.Supports(Int|Index))*", "int"),
    (r"typing\.SupportsFloat( \| (int|typing\.SupportsIndex))*", "float"),
    (r"typing_extensions\.CapsuleType", "capsule"),
    (r"typing_extensions\.Buffer", "buffer"),
    (r"\blist\[", "List["),
    (r"\btuple\[", "Tuple["),
    (r"<(?:[A-Za-z]+\.)*?([A-Za-z]+\.[A-Z0-9_]+): -?\d+>", r"\1"),
    (r", /\)", ")"),
)


def main(wheel):
    name, version = Path(wheel).name.split("-")[:2]
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(wheel).extractall(folder)
        stand_in_libraries(Path(folder))
        environment = {**os.environ, "LD_LIBRARY_PATH": folder, "PYTHONPATH": folder}
        command = [sys.executable, "-W", "ignore", __file__, "--read", f"{name.replace('_', '-')} {version}, PyPI"]
        subprocess.run(command, env=environment, check=True)


def stand_in_libraries(folder):
    """Makes the libraries that the bindings name, each with every function they want of any of them."""
    bindings = str(folder / "tensorrt_bindings" / "tensorrt.so")
    wanted = re.findall(r"NEEDED.*\[(libnv\S+)\]", output("readelf", "-d", bindings))
    undefined = re.findall(r"^\s+U (\S+)$", output("nm", "-D", bindings), re.M)
    theirs = re.compile("_INTERNAL$|nvuffparser|nvcaffeparser|PluginRegistry|Nv[OI]n")
    functions = [symbol for symbol in undefined if theirs.search(symbol)]
    source = folder / "nothing.c"
    source.write_text("".join(f"void *{function}() {{ return 0; }}\n" for function in functions))
    for library in wanted:
        flags = ["-shared", "-fPIC", "-w", f"-Wl,-soname,{library}"]
        subprocess.run(["cc", *flags, "-o", str(folder / library), str(source)], check=True)


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


def read(source):
    """The bindings in this process, as JSON with one line a member."""
    bindings = importlib.import_module("tensorrt_bindings")
    public = {name: value for name, value in vars(bindings).items() if not name.startswith("_")}
    types = {name: value for name, value in public.items() if isinstance(value, type)}
    types["ILogger.Severity"] = types["ILogger"].Severity
    enums = {name: value for name, value in types.items() if hasattr(value, "__members__")}
    modelled = json.loads((Path(__file__).parent / "surface" / "classes.json").read_text())["classes"]
    lines = {
        "classes": {name: members(types[name]) for name in sorted(modelled) if name in types},
        "enums": {
            name: {"ordered": "__lt__" in vars(enum), "values": {key: int(it) for key, it in enum.__members__.items()}}
            for name, enum in sorted(enums.items())
        },
        "functions": {
            name: calls(it, name) for name, it in sorted(public.items()) if name not in types and callable(it)
        },
        "values": {name: str(it) for name, it in sorted(public.items()) if hasattr(type(it), "__members__")},
    }
    write({"version": bindings.__version__, "source": source, "names": sorted(public), **lines})


def members(kind):
    found = {}
    for name, value in sorted(vars(kind).items()):
        is_nested = isinstance(value, type) or hasattr(type(value), "__members__")
        if name in NOISE or name.startswith("__pybind") or is_nested:
            continue
        if isinstance(value, property):
            found[name] = property_of(value)
        elif callable(value) and not (name == "__init__" and not calls(value, name)):
            found[name] = calls(value, name)
    return found


def property_of(value):
    """ "property int", "readonly int" or "writeonly int"; the type of one that can be set is the setter's."""
    kind = "property" if value.fget and value.fset else "readonly" if value.fget else "writeonly"
    if value.fset:
        found = re.search(r"arg1: (.*?)\) ->", plain(value.fset.__doc__)) or re.search(
            r"arg0: (.*?)\) ->", plain(value.fset.__doc__)
        )
    else:
        found = re.search(r"-> (.*)", plain(value.fget.__doc__))
    return f"{kind} {found.group(1) if found else 'object'}"


def calls(function, name):
    """The signatures in a docstring of pybind11, without `self`."""
    lines = [line.strip() for line in plain(function.__doc__).strip().splitlines()]
    if not lines or not lines[0].startswith(name + "("):
        return []
    if lines[0].startswith(name + "(*args"):
        numbered = re.compile(rf"\d+\. {re.escape(name)}\(")
        lines = [line.split(". ", 1)[1] for line in lines if numbered.match(line)]
    else:
        lines = lines[:1]
    return [re.sub(r"^\w+\((self: [\w.]+(, )?)?", "(", line) for line in lines]


def plain(text):
    for pattern, name in TYPE_NAMES:
        text = re.sub(pattern, name, text or "")
    return text


def write(recorded):
    """JSON, the third level on one line each."""

    def level(value, depth):
        if not isinstance(value, dict) or not value or depth == 3 or "ordered" in value:
            return json.dumps(value)
        indent = " " * (depth + 1)
        lines = [f"{indent}{json.dumps(key)}: {level(it, depth + 1)}" for key, it in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"

    print(level(recorded, 0))


if __name__ == "__main__":
    read(sys.argv[2]) if sys.argv[1] == "--read" else main(sys.argv[1])
