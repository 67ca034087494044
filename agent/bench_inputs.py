"""What a bench runs on: the model's golden inputs, or what the user sent, one slot of the arena each."""

from agent import decision
from agent.arena import Arena, InputWriter
from agent.supervisor import Deployment

_IMAGE_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def is_image(content: bytes) -> bool:
    """Whether the bytes are a PNG or JPEG file, rather than raw tensors."""
    return content.startswith(_IMAGE_MAGIC)


def golden(deployment: Deployment) -> list[bytes]:
    """The inputs of each golden case, raw."""
    manifest = deployment.manifest
    content = (deployment.folder / manifest.golden.inputs).read_bytes()
    size = manifest.signature.input_bytes
    return [content[case * size : (case + 1) * size] for case in range(manifest.golden.count)]


def fill(arena: Arena, deployment: Deployment, contents: list[bytes]) -> None:
    """Fills slot after slot; images are prepared first. BadTensorError, BadImageError, UnsupportedMediaError."""
    for slot, content in zip(arena.slots, contents, strict=True):
        writer = InputWriter(arena.inputs(slot))
        writer.write(decision.prepare(deployment.manifest, content) if is_image(content) else content)
        writer.finish()
