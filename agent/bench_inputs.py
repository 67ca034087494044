"""What a bench runs on: seeded noise, or what the user sent, one slot of the arena each."""

from collections.abc import Sequence

from agent import decision
from agent.arena import Arena, InputWriter, Slot
from contract.manifest import Manifest, TensorSpec

_IMAGE_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


def is_image(content: bytes) -> bool:
    """Whether the bytes are a PNG or JPEG file, rather than raw tensors."""
    return content.startswith(_IMAGE_MAGIC)


def fill(arena: Arena, manifest: Manifest, contents: Sequence[bytes], seed: int) -> None:
    """Fills every slot: from `contents` in order where there are any, from noise otherwise."""
    if contents:
        for slot, content in zip(arena.slots, contents, strict=True):
            _fill_from(arena, slot, manifest, content)
        return
    for slot in arena.slots:
        for spec, view in zip(manifest.signature.inputs, arena.inputs(slot), strict=True):
            view[:] = noise(spec, seed + slot.index)


def _fill_from(arena: Arena, slot: Slot, manifest: Manifest, content: bytes) -> None:
    writer = InputWriter(arena.inputs(slot))
    writer.write(decision.prepare(manifest, content) if is_image(content) else content)
    writer.finish()


def noise(spec: TensorSpec, seed: int) -> memoryview:
    """Uniform in [0, 1) for floats, 0 or 1 for bool, 0..255 for integers (0..127 where only that fits)."""
    import numpy as np

    random = np.random.default_rng(seed)
    if spec.dtype.startswith("float"):
        values = random.random(spec.shape, np.float32).astype(spec.dtype)
    else:
        top = {"bool": 2, "int8": 128}.get(spec.dtype, 256)
        values = random.integers(0, top, spec.shape).astype(spec.dtype)
    return np.atleast_1d(values).data.cast("B")
