"""POST /infer over a real socket: every form of request and reply, and every way in which a request can be wrong."""

import io
import json
import re
from collections.abc import Callable
from typing import Any

import bundles
import httpx
import live
import numpy as np
import pytest
from live import Agent, assert_error, picture
from numpy.typing import NDArray
from PIL import Image

from contract.manifest import Score
from contract.tensors import ITEM_BYTES
from inspection import preprocess, score

RAW, NPY, JSON, PNG, JPEG = (
    "application/octet-stream",
    "application/x-npy",
    "application/json",
    "image/png",
    "image/jpeg",
)
X = np.array([[1.5, -2.0, 0.0, 1e-40]], np.float32)
SHAPE = (1, 3, 8, 8)

Start = Callable[..., Agent]


def npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def oip(array: NDArray[Any], name: str = "x", **more: Any) -> bytes:
    tensor = {"name": name, "shape": array.shape, "datatype": "FP32", "data": array.tolist()}
    return json.dumps({"inputs": [tensor], **more}).encode()


def tensor_in(response: httpx.Response, shape: tuple[int, ...]) -> NDArray[Any]:
    """The one output, whatever form it came in."""
    media_type = response.headers["content-type"]
    if media_type == RAW:
        return np.frombuffer(response.content, np.float32).reshape(shape)
    if media_type == NPY:
        return np.load(io.BytesIO(response.content))
    (output,) = response.json()["outputs"]
    assert (output["shape"], output["datatype"]) == (list(shape), "FP32")
    return np.array(output["data"], np.float32).reshape(shape)


def prepared(encoded: bytes) -> NDArray[Any]:
    return preprocess.prepare(preprocess.decode(encoded), preprocess.Preprocessing(height=8, width=8))


def judged(image: NDArray[Any]) -> dict[str, Any]:
    """What the model `inspector` says: its reconstruction is 1 - x."""
    value = score.score(score.anomaly_map(image, 1 - image, score.Score(threshold=0.5)))
    return {"score": value, "threshold": 0.5, "decision": score.decide(value, 0.5)}


class TestTensors:
    in_every_form = pytest.mark.parametrize(
        ("media_type", "content"), [(RAW, X.tobytes()), (NPY, npy(X)), (JSON, oip(X))], ids=["raw", "npy", "json"]
    )

    @in_every_form
    @pytest.mark.parametrize("accept", [RAW, NPY, JSON])
    def test_every_form_in_every_form(self, agent: Agent, media_type: str, content: bytes, accept: str) -> None:
        response = agent.infer(content, media_type, accept, "plain")
        assert (response.status_code, response.headers["content-type"]) == (200, accept)
        np.testing.assert_array_equal(tensor_in(response, (1, 4)), X)

    @in_every_form
    @pytest.mark.parametrize("accept", ["", "*/*", "application/*", "text/html, */*;q=0.1"])
    def test_the_form_of_the_request_by_default(
        self, agent: Agent, media_type: str, content: bytes, accept: str
    ) -> None:
        response = agent.infer(content, media_type, accept, "plain")
        assert (response.status_code, response.headers["content-type"]) == (200, media_type)
        np.testing.assert_array_equal(tensor_in(response, (1, 4)), X)

    def test_every_dtype_raw(self, agent: Agent) -> None:
        content = every_dtype()
        assert agent.infer(content, RAW, model="every").content == content

    def test_the_bits_of_a_nan_raw(self, agent: Agent) -> None:
        content = bytes.fromhex("0100c07fffffffff0100807f00000080")
        assert agent.infer(content, RAW, model="plain").content == content

    def test_every_dtype_as_json(self, agent: Agent) -> None:
        as_json = agent.infer(every_dtype(), RAW, JSON, "every").json()
        assert [output["name"] for output in as_json["outputs"]] == [f"{dtype}_out" for dtype in ITEM_BYTES]
        inputs = [{**output, "name": output["name"].removesuffix("_out")} for output in as_json["outputs"]]
        back = agent.infer(json.dumps({"inputs": inputs[::-1], "id": "7"}), JSON, RAW, "every")
        assert back.content == every_dtype()

    def test_several_tensors_are_no_npy(self, agent: Agent) -> None:
        told = assert_error(agent.infer(every_dtype(), RAW, NPY, "every"), 406, "not_acceptable")
        assert told["error"] == "the model has 12 outputs, a .npy file holds one"
        assert_error(agent.infer(npy(X), NPY, JSON, "every"), 400, "bad_tensor")

    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("dtype", ["<f4", ">f4"])
    def test_npy_of_either_order(self, agent: Agent, order: Any, dtype: str) -> None:
        image = np.arange(192, dtype=np.float32).reshape(SHAPE)
        content = npy(image.astype(dtype, order=order))
        assert tensor_in(agent.infer(content, NPY, RAW, "inspector"), SHAPE).tolist() == (1 - image).tolist()

    def test_the_id_of_a_json_request_comes_back(self, agent: Agent) -> None:
        reply = agent.infer(oip(X, id="run-42"), JSON, model="plain").json()
        assert (reply["model_name"], reply["id"]) == ("plain", "run-42")
        assert "id" not in agent.infer(oip(X), JSON, model="plain").json()

    def test_json_of_what_json_has_no_number_for(self, agent: Agent) -> None:
        content = np.array([np.nan, np.inf, -np.inf, 1], np.float32).tobytes()
        (output,) = agent.infer(content, RAW, JSON, "plain").json()["outputs"]
        assert output["data"] == ["NaN", "Infinity", "-Infinity", 1.0]

    def test_how_long_it_took(self, agent: Agent) -> None:
        timing = agent.infer(X.tobytes(), RAW, model="plain").headers["server-timing"]
        found = re.fullmatch(r"prepare;dur=(\d+\.\d{3}), run;dur=(\d+\.\d{3}), total;dur=(\d+\.\d{3})", timing)
        assert found
        prepare_ms, run_ms, total_ms = map(float, found.groups())
        assert 0 < prepare_ms + run_ms < total_ms < 20_000

    def test_a_media_type_may_have_parameters_and_capitals(self, agent: Agent) -> None:
        assert agent.infer(oip(X), "Application/JSON; charset=utf-8", model="plain").status_code == 200

    def test_a_body_without_a_length(self, agent: Agent) -> None:
        content = X.tobytes()
        portions = iter([content[:3], b"", content[3:9], content[9:]])
        assert agent.infer(portions, RAW, model="plain").content == content


class TestImages:
    @pytest.mark.parametrize(("kind", "media_type"), [("PNG", PNG), ("JPEG", JPEG)])
    @pytest.mark.parametrize("accept", ["", "*/*", JSON, f"{JSON}, {PNG}", "application/*, */*;q=0.1"])
    def test_a_model_with_a_score_decides(self, agent: Agent, kind: str, media_type: str, accept: str) -> None:
        encoded = picture(kind)
        response = agent.infer(encoded, media_type, accept, "inspector")
        assert (response.status_code, response.headers["content-type"]) == (200, JSON)
        assert response.json() == {"model": "inspector", **judged(prepared(encoded))}

    def test_both_decisions(self, agent: Agent) -> None:
        """Of a black image the reconstruction is white."""
        black = live.encoded(np.zeros((4, 4, 3), np.uint8))
        assert agent.infer(black, PNG, model="inspector").json()["decision"] == "defective"
        assert agent.infer(picture(), PNG, model="inspector").json()["decision"] == "good"

    def test_without_a_threshold_it_says_so(self, agent: Agent) -> None:
        told = agent.infer(picture(), PNG, model="uncalibrated").json()
        assert told == {"model": "uncalibrated", "score": 0.0, "threshold": None, "decision": "uncalibrated"}

    def test_the_anomaly_map(self, agent: Agent) -> None:
        response = agent.infer(picture(), PNG, PNG, "inspector")
        assert (response.status_code, response.headers["content-type"]) == (200, PNG)
        with Image.open(io.BytesIO(response.content)) as shown:
            assert shown.size == (8, 8)
        said = judged(prepared(picture()))
        assert {key: response.headers[f"boardfit-{key}"] for key in ("model", *said)} == {
            "model": "inspector",
            **{key: str(value) for key, value in said.items()},
        }

    def test_the_anomaly_map_without_a_threshold(self, agent: Agent) -> None:
        headers = agent.infer(picture(), PNG, PNG, "uncalibrated").headers
        assert headers["boardfit-decision"] == "uncalibrated"
        assert "boardfit-threshold" not in headers

    @pytest.mark.parametrize("accept", [RAW, NPY])
    def test_tensors_of_an_image_if_asked_for(self, agent: Agent, accept: str) -> None:
        response = agent.infer(picture(), PNG, accept, "inspector")
        np.testing.assert_array_equal(tensor_in(response, SHAPE), 1 - prepared(picture()))

    @pytest.mark.parametrize("media_type", [RAW, NPY])
    def test_tensors_are_judged_like_images(self, agent: Agent, media_type: str) -> None:
        image = prepared(picture())
        content = image.tobytes() if media_type == RAW else npy(image)
        assert agent.infer(content, media_type, model="inspector").json() == {"model": "inspector", **judged(image)}
        assert agent.infer(content, media_type, PNG, "inspector").headers["content-type"] == PNG

    def test_json_tensors_come_back_with_the_verdict_beside_them(self, agent: Agent) -> None:
        image = prepared(picture())
        response = agent.infer(oip(image, "image", id="1"), JSON, model="inspector")
        assert response.json()["parameters"] == judged(image)
        np.testing.assert_array_equal(tensor_in(response, SHAPE), 1 - image)

    def test_a_reconstruction_that_is_no_number(self, agent: Agent) -> None:
        content = np.full(SHAPE, np.nan, np.float32).tobytes()
        told = assert_error(agent.infer(content, RAW, model="inspector"), 502, "non_finite")
        assert "192 of" not in told["error"]  # of pixels, not of values
        assert agent.infer(content, RAW, RAW, "inspector").status_code == 200  # the tensors may be had

    def test_a_model_without_preprocessing_takes_none(self, agent: Agent) -> None:
        told = assert_error(agent.infer(picture(), PNG, model="plain"), 415, "unsupported_media_type")
        assert "takes tensors" in told["error"]

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (b"", "broken_image"),
            (b"GIF89a", "unsupported_image"),
            (b"not an image", "unsupported_image"),
            (picture()[:200], "broken_image"),
            (picture("JPEG")[:100], "broken_image"),
            (picture()[:50] + b"\0" * 50 + picture()[100:], "broken_image"),
            (live.bomb(60_000, 60_000), "image_too_large"),
        ],
    )
    @pytest.mark.parametrize("media_type", [PNG, JPEG])
    def test_no_image(self, agent: Agent, media_type: str, content: bytes, code: str) -> None:
        assert_error(agent.infer(content, media_type, model="inspector"), 400, code)


class TestWrongRequests:
    @pytest.mark.parametrize("size", [0, 1, 15, 17, 1 << 20])
    @pytest.mark.parametrize("chunked", [False, True])
    def test_another_byte_count(self, agent: Agent, size: int, chunked: bool) -> None:
        content: Any = iter([bytes(size)]) if chunked else bytes(size)
        told = assert_error(agent.infer(content, RAW, model="plain"), 400, "bad_tensor")
        assert re.fullmatch(r"the body has (at least )?\d+ bytes, the model's inputs take 16", told["error"])

    @pytest.mark.parametrize(
        ("media_type", "content"),
        [
            (NPY, npy(X.T)),
            (NPY, npy(X.astype(np.float64))),
            (NPY, b""),
            (JSON, oip(X.T)),
            (JSON, oip(X, "y")),
            (JSON, b"{}"),
            (JSON, b""),
            (JSON, b"[" * 60_000),
        ],
    )
    def test_another_tensor(self, agent: Agent, media_type: str, content: bytes) -> None:
        assert_error(agent.infer(content, media_type, model="plain"), 400, "bad_tensor")

    @pytest.mark.parametrize("chunked", [False, True])
    @pytest.mark.parametrize("media_type", [NPY, JSON])
    def test_a_body_that_cannot_be_meant(self, agent: Agent, media_type: str, chunked: bool) -> None:
        content: Any = iter([bytes(1 << 16)] * 20) if chunked else bytes(20 << 16)
        assert_error(agent.infer(content, media_type, model="plain"), 413, "too_large")

    @pytest.mark.parametrize("media_type", [None, "", "text/plain", "image/gif", "image/*", "ü", "a" * 5000])
    def test_an_unknown_media_type(self, agent: Agent, media_type: str | None) -> None:
        headers = {} if media_type is None else {"Content-Type": media_type.encode()}
        response = agent.client.post("/infer?model=plain", content=X.tobytes(), headers=headers)
        assert "image/png" in assert_error(response, 415, "unsupported_media_type")["hint"]

    @pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip", "x"])
    def test_a_compressed_body(self, agent: Agent, encoding: str) -> None:
        headers = {"Content-Type": RAW, "Content-Encoding": encoding}
        response = agent.client.post("/infer?model=plain", content=X.tobytes(), headers=headers)
        assert encoding in assert_error(response, 415, "unsupported_media_type")["error"]

    @pytest.mark.parametrize("accept", ["text/html", "image/jpeg", "application/*;q=0", "nonsense", "image/png"])
    def test_an_accept_that_cannot_be_served(self, agent: Agent, accept: str) -> None:
        told = assert_error(agent.infer(X.tobytes(), RAW, accept, "plain"), 406, "not_acceptable")
        assert told["hint"] == f"accept one of {RAW}, {NPY}, {JSON}"
        assert agent.service.dataplane.models["plain"].failures == 0

    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
    def test_another_method(self, agent: Agent, method: str) -> None:
        response = agent.client.request(method, "/infer")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")
        if method != "HEAD":
            assert method in assert_error(response, 405, "method_not_allowed")["error"]

    def test_an_unknown_model_brings_the_nearest(self, agent: Agent) -> None:
        told = assert_error(agent.infer(X.tobytes(), RAW, model="plian"), 404, "unknown_model")
        assert told["error"] == "there is no model 'plian'"
        assert told["hint"] == "did you mean 'plain'?"

    @pytest.mark.parametrize(
        "name", ["", "../plain", "plain\0", "plain\r\nX-Evil: 1", "ü" * 100, "\udcff", "a" * 30_000]
    )
    def test_odd_names_of_models(self, agent: Agent, name: str) -> None:
        query = httpx.QueryParams({"model": name.encode("utf-8", "surrogateescape").decode("latin-1")})
        response = agent.client.post(f"/infer?{query}", content=X.tobytes(), headers={"Content-Type": RAW})
        assert_error(response, 404, "unknown_model")
        assert "x-evil" not in response.headers

    def test_several_models_need_a_name(self, agent: Agent) -> None:
        told = assert_error(agent.infer(X.tobytes(), RAW), 400, "bad_input")
        assert told["hint"].endswith("every, inspector, plain, uncalibrated")

    @pytest.mark.parametrize(
        "query", ["modle=plain", "model=plain&x=1", "model=plain&model=plain", "plain", "%", "&=&"]
    )
    def test_a_misspelt_query_is_not_passed_over(self, agent: Agent, query: str) -> None:
        response = agent.client.post(f"/infer?{query}", content=X.tobytes(), headers={"Content-Type": RAW})
        assert query.encode() in assert_error(response, 400, "bad_query")["error"].encode()

    @pytest.mark.parametrize("query", [b"model=pl%61in", b"model=plain&", b"%6dodel=plain"])
    def test_percent_encoding(self, agent: Agent, query: bytes) -> None:
        response = agent.client.post(
            b"/infer?".decode() + query.decode(), content=X.tobytes(), headers={"Content-Type": RAW}
        )
        assert response.content == X.tobytes()

    def test_many_accepts_are_one_list(self, agent: Agent) -> None:
        headers = [("Content-Type", RAW), ("Accept", "text/html"), ("Accept", JSON)]
        response = agent.client.post("/infer?model=plain", content=X.tobytes(), headers=headers)
        assert response.headers["content-type"] == JSON


def test_a_normalised_score_by_the_threshold_of_the_board(start: Start) -> None:
    usual = np.linspace(0.5, 1, 64, dtype=np.float32).reshape(8, 8)
    usual[0, 0] = 9
    rule = Score(method="max_normalised_squared_error", threshold=1e-6)
    black, *good = (live.encoded(np.full((8, 8, 3), shade, np.uint8)) for shade in (0, 70, 90))
    agent = start()
    agent.activate(bundles.inspector(wrong=True).with_score(rule, training_error=usual, good_images=good), "m")

    def expected(content: bytes) -> NDArray[np.float32]:
        image = prepared(content)
        return score.judged_map(image, 1 - image, score.Score(rule.method), "NCHW", usual)

    threshold = score.score(expected(good[0]))
    for content, decision in ((good[1], "good"), (good[0], "good"), (black, "defective")):
        anomaly = expected(content)
        told = agent.infer(content, PNG).json()
        assert told == {"model": "m", "score": score.score(anomaly), "threshold": threshold, "decision": decision}
        map_of_it = agent.infer(content, PNG, PNG)
        assert map_of_it.content == score.render_map(anomaly, 2 * threshold)
        assert map_of_it.headers["boardfit-decision"] == decision
    image = prepared(good[1])
    assert agent.infer(oip(image, "image"), JSON).json()["parameters"]["score"] == score.score(expected(good[1]))
    (model,) = agent.client.get("/v1/models").json()
    assert model["score"] == {"method": rule.method, "sigma": 1.0, "threshold": threshold}


def test_no_model(start: Start) -> None:
    assert_error(start().infer(X.tobytes(), RAW), 404, "unknown_model")


def test_one_model_needs_no_name(start: Start) -> None:
    agent = start()
    agent.activate(bundles.null(), "m")
    assert agent.infer(X.tobytes(), RAW).content == X.tobytes()


def test_an_image_larger_than_the_agent_takes(start: Start) -> None:
    agent = start(max_image_bytes=1000)
    agent.activate(bundles.inspector(), "m")
    assert "at most 1000" in assert_error(agent.infer(bytes(1001), PNG), 413, "too_large")["error"]
    assert_error(agent.infer(iter([bytes(600), bytes(600)]), PNG), 413, "too_large")
    assert_error(agent.infer(bytes(1000), PNG), 400, "unsupported_image")


def every_dtype() -> bytes:
    """Six values of each, the limits of the type among them."""
    values = []
    for dtype in map(np.dtype, ITEM_BYTES):
        limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype) if dtype.kind in "iu" else None
        values.append(np.array([limits.min, limits.max, 0, 1, 2, 3] if limits else [True, False] * 3, dtype))
    return b"".join(value.tobytes() for value in values)
