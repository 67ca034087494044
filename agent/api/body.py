"""A request's body, as it comes or whole, within limits of size and time."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from starlette.types import Receive

from agent.errors import BodyTimeoutError, TooLargeError


class Disconnected(Exception):  # noqa: N818  # not an error: the client left while it was still sending
    """There is nobody to answer."""


def announced_bytes(headers: Mapping[bytes, bytes]) -> int | None:
    """Its length, as the client says; None where it does not (chunked, or none at all)."""
    length = headers.get(b"content-length")
    return None if length is None else int(length)  # the HTTP parser has checked it


def media_type(headers: Mapping[bytes, bytes]) -> str:
    """Its type, without parameters, in lower case; empty where the client does not say."""
    return headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Disconnected."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def whole(receive: Receive, announced: int | None, limit_bytes: int, hint: str) -> bytes:
    """All of the body. TooLargeError with this hint, at once where the client announces too much; Disconnected."""
    if announced is not None and announced > limit_bytes:
        raise _too_large(f"{announced}", limit_bytes, hint)
    received = bytearray()
    async for chunk in chunks(receive):
        received += chunk
        if len(received) > limit_bytes:
            raise _too_large(f"at least {len(received)}", limit_bytes, hint)
    return bytes(received)


@asynccontextmanager
async def deadline(seconds: float) -> AsyncIterator[None]:
    """BodyTimeoutError where what is inside takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise BodyTimeoutError(
            f"the body did not come within {seconds:g} s", "send it faster, or ask again when the network is better"
        ) from None


def _too_large(size: str, limit_bytes: int, hint: str) -> TooLargeError:
    return TooLargeError(f"the body has {size} bytes, at most {limit_bytes} are taken", hint)
