"""Files of the user's, written so that a kill at any moment leaves the old content or the new, never half of it."""

import os
from pathlib import Path


def replace(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Written under another name, then renamed; the folder is made where there is none. OSError leaves the old content.

    `durable`: on the disk before this returns, so that a power cut does not undo it either. A symbolic link stays one:
    what it points at is replaced.
    """
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
