"""Which form a reply takes, by Content-Type and Accept."""

import bundles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.api.negotiation import IMAGES, PNG, TENSORS, VERDICT, reply_form
from agent.api.tensors import JSON, NPY, RAW
from agent.errors import AgentError, NotAcceptableError, UnsupportedMediaError
from contract.tensors import TensorSpec

PLAIN = bundles.null().manifest
SCORED = bundles.inspector().manifest
SEVERAL = bundles.null(*(TensorSpec(name=name, dtype="float32", shape=(1,)) for name in "ab")).manifest
MODELS = {"plain": PLAIN, "scored": SCORED, "several": SEVERAL}


@pytest.mark.parametrize("accept", ["", "*/*", "*/*;q=0.1", "text/html, */*", "application/*", "APPLICATION/*"])
@pytest.mark.parametrize(
    ("model", "media_type", "form"),
    [
        ("plain", RAW, RAW),
        ("plain", NPY, NPY),
        ("plain", JSON, JSON),
        ("plain", PNG, JSON),
        ("scored", RAW, VERDICT),
        ("scored", NPY, VERDICT),
        ("scored", JSON, JSON),
        ("scored", PNG, VERDICT),
        ("scored", "image/jpeg", VERDICT),
        ("several", RAW, RAW),
        ("several", NPY, JSON),
    ],
)
def test_where_the_client_leaves_it_open(accept: str, model: str, media_type: str, form: str) -> None:
    assert reply_form(media_type, accept, MODELS[model]) == form


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (RAW, RAW),
        (NPY, NPY),
        (JSON, VERDICT),
        (PNG, PNG),
        ("image/*", PNG),
        ("Image/PNG", PNG),
        (f" {PNG} ; charset=x ", PNG),
        (f"{PNG}, {RAW}", PNG),
        (f"{RAW}, {PNG}", RAW),
        (f"{PNG};q=0.5, {RAW}", RAW),
        (f"{PNG};q=0.5, {RAW};q=0.51", RAW),
        (f"{PNG};Q=0.5,{RAW};q=0.050", PNG),
        (f"{PNG}, */*;q=0.8", PNG),
        (f"*/*, {PNG}", PNG),
        (f"*/*;q=0.9, {PNG};q=0.8", VERDICT),
        (f"{JSON};q=0, */*", RAW),
        (f"application/*;q=0, {NPY}", NPY),
        ("application/*;q=0, */*", PNG),
        (f"{PNG};q=nonsense, {RAW};q=0.9", PNG),
        (f"{PNG};q=2, {RAW}", PNG),
        (f"text/html, {NPY};level=1;q=0.3", NPY),
    ],
)
def test_what_the_client_likes_best(accept: str, form: str) -> None:
    assert reply_form(PNG, accept, SCORED) == form


@pytest.mark.parametrize(
    ("model", "accept", "reason", "hint"),
    [
        ("plain", PNG, "this model has no score, so there is no anomaly map", f"accept one of {RAW}, {NPY}, {JSON}"),
        ("several", NPY, "the model has 2 outputs, a .npy file holds one", f"accept one of {RAW}, {JSON}"),
        ("scored", "text/html", "none of 'text/html' is written here", f"accept one of {JSON}, {RAW}, {NPY}, {PNG}"),
        ("plain", "*/*;q=0", "none of '*/*;q=0' is written here", f"accept one of {RAW}, {NPY}, {JSON}"),
        ("plain", f"{RAW};q=0.000", f"none of '{RAW};q=0.000' is", f"accept one of {RAW}, {NPY}, {JSON}"),
        ("plain", "image/*", "none of 'image/*' is written here", f"accept one of {RAW}, {NPY}, {JSON}"),
        ("plain", "application", "none of 'application' is", f"accept one of {RAW}, {NPY}, {JSON}"),
    ],
)
def test_what_cannot_be(model: str, accept: str, reason: str, hint: str) -> None:
    with pytest.raises(NotAcceptableError) as caught:
        reply_form(RAW, accept, MODELS[model])
    assert caught.value.message.startswith(reason)
    assert caught.value.hint == hint


@pytest.mark.parametrize("media_type", ["", "text/plain", "*/*", "image/gif", "application/jsonx"])
def test_what_is_not_read(media_type: str) -> None:
    with pytest.raises(UnsupportedMediaError, match="is not read here"):
        reply_form(media_type, "", PLAIN)


WORDS = st.sampled_from(
    [RAW, NPY, JSON, PNG, "image/*", "application/*", "*/*", ",", ";", "q=0", "q=0.5", "q=", " ", "ü"]
)


@settings(deadline=None)  # the machine may be busy
@given(
    st.sampled_from([*IMAGES, *TENSORS]),
    st.text(max_size=30) | st.lists(WORDS, max_size=12).map("".join),
    st.sampled_from(sorted(MODELS)),
)
def test_whatever_is_accepted_can_be_written(media_type: str, accept: str, model: str) -> None:
    try:
        form = reply_form(media_type, accept, MODELS[model])
    except AgentError as error:
        assert isinstance(error, NotAcceptableError)  # noqa: PT017 - it may also succeed
    else:
        assert (
            form
            in {
                "plain": {RAW, NPY, JSON},
                "several": {RAW, JSON},
                "scored": {RAW, NPY, JSON, PNG, VERDICT},
            }[model]
        )
