"""What a bench runs on: the model's golden inputs, or what the user sent, one slot of the arena each."""

from pathlib import Path

from agent import decision
from agent.arena import Arena, InputWriter
from agent.errors import TooLargeError
from agent.loading import Deployment
from contract.api import MAX_BENCH_INPUTS

MAX_IMAGE_BYTES = 64 << 20
_IMAGE_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def is_image(content: bytes) -> bool:
    """Whether the bytes are a PNG or JPEG file, rather than raw tensors."""
    return content.startswith(_IMAGE_MAGIC)


def sent(paths: list[Path], deployment: Deployment) -> list[bytes]:
    """The files' contents, each an image or raw tensors. TooLargeError before it is read into memory."""
    limit_bytes = max(MAX_IMAGE_BYTES, deployment.manifest.signature.input_bytes)
    for path in paths:
        size_bytes = path.stat().st_size
        if size_bytes > limit_bytes:
            raise TooLargeError(
                f"the input {path.name} has {size_bytes} bytes, at most {limit_bytes} are taken", "send a smaller one"
            )
    return [path.read_bytes() for path in paths]


def golden(deployment: Deployment) -> list[bytes]:
    """The inputs of each golden case, raw; of many, the first MAX_BENCH_INPUTS."""
    manifest = deployment.manifest
    size_bytes = manifest.signature.input_bytes
    with (deployment.folder / manifest.golden.inputs).open("rb") as file:
        return [file.read(size_bytes) for _ in range(min(manifest.golden.count, MAX_BENCH_INPUTS))]


def fill(arena: Arena, deployment: Deployment, contents: list[bytes]) -> None:
    """Fills slot after slot; images are prepared first. BadTensorError, BadImageError, UnsupportedMediaError."""
    for slot, content in zip(arena.slots, contents, strict=True):
        writer = InputWriter(arena.inputs(slot))
        writer.write(decision.prepare(deployment.manifest, content) if is_image(content) else content)
        writer.finish()
