from __future__ import annotations

import json
import math
import struct
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazycluster_agent.frames import MAX_PAYLOAD, FrameDecoder, frame_head
from lazycluster_agent.msgpack import NotData, WireError, pack, unpack
from lazycluster_agent.values import decode_document, encode_document

VECTORS = Path(__file__).parent / "vectors"


def load(file: str) -> List[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in json.loads((VECTORS / file).read_text())]


def raw(given: Any) -> bytes:
    if isinstance(given, str):
        return bytes.fromhex(given)
    return b"".join(bytes.fromhex(part) * count for part, count in given)


def untag(value: Any) -> Any:
    if isinstance(value, list):
        return [untag(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "int":
        digits = content.lstrip("-")
        number = 0
        for at in range(0, len(digits), 4000):
            part = digits[at : at + 4000]
            number = number * 10 ** len(part) + int(part)
        return -number if content.startswith("-") else number
    if tag == "float":
        return struct.unpack(">d", bytes.fromhex(content))[0]
    if tag == "bytes":
        return bytes.fromhex(content) if isinstance(content, str) else bytes.fromhex(content[0]) * content[1]
    if tag == "map":
        return {key: untag(item) for key, item in content}
    if tag == "repeat":
        return [untag(content[0])] * content[1]
    if tag == "text":
        return content[0] * content[1]
    assert tag == "nest"
    inner = untag(content[0])
    for _ in range(content[1]):
        inner = [inner]
    return inner


def same(left: Any, right: Any) -> bool:
    """Equality that knows types, the sign of zero, the order of keys, and that NaN is NaN."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return struct.pack(">d", left) == struct.pack(">d", right) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


@pytest.mark.parametrize("vector", load("msgpack.json"))
def test_msgpack(vector: Dict[str, Any]) -> None:
    data = raw(vector["hex"])
    if vector.get("error"):
        with pytest.raises(WireError):
            unpack(data)
        return
    value = untag(vector["value"])
    assert same(unpack(data), value)
    if not vector.get("decodeOnly"):
        assert pack(value) == data


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("vector", load("frames.json"))
def test_frames(vector: Dict[str, Any], step: int) -> None:
    data = raw(vector["hex"])
    pieces = [data[at : at + step] for at in range(0, len(data), step)] if step else [data]
    decoder = FrameDecoder()
    if vector.get("error"):
        with pytest.raises(WireError):
            for piece in pieces:
                list(decoder.feed(piece))
        return
    frames = [frame for piece in pieces for frame in decoder.feed(piece)]
    assert decoder.pending == vector["pending"]
    assert len(frames) == len(vector["frames"])
    for (header, payload), expected in zip(frames, vector["frames"]):
        assert same(header, untag(expected["header"]))
        assert payload == bytes.fromhex(expected["payload"])
    whole = b"".join(frame_head(header, len(payload)) + bytes(payload) for header, payload in frames)
    assert data.startswith(whole)


@pytest.mark.parametrize("vector", load("documents.json"))
def test_documents(vector: Dict[str, Any]) -> None:
    data = raw(vector["hex"])
    if vector.get("error"):
        with pytest.raises(WireError):
            decode_document(data)
        return
    value = untag(vector["value"])
    assert same(decode_document(data), value)
    if not vector.get("decodeOnly"):
        assert b"".join(encode_document(value)) == data


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**60, 2**70)
    | st.floats()
    | st.text("aü€😀")
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
)


@given(plain)
def test_every_plain_value_comes_back(value: Any) -> None:
    assert same(unpack(bytes(pack(value))), value)


@given(values)
def test_every_value_comes_back(value: Any) -> None:
    assert same(decode_document(b"".join(encode_document(value))), value)


@given(st.binary(max_size=200))
def test_garbage_is_read_or_refused(data: bytes) -> None:
    for read in (unpack, decode_document):
        try:
            read(data)
        except WireError:
            pass
    try:
        list(FrameDecoder().feed(data))
    except WireError:
        pass


@given(values, st.data())
def test_a_damaged_document_is_read_or_refused(value: Any, data: st.DataObject) -> None:
    document = bytearray(b"".join(encode_document(value)))
    at = data.draw(st.integers(0, len(document) - 1))
    document[at] ^= data.draw(st.integers(1, 255))
    try:
        decode_document(bytes(document[: data.draw(st.integers(0, len(document)))]))
    except WireError:
        pass


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.dictionaries(st.text("ab", max_size=3), st.integers(0, 999)), st.binary(max_size=50))
    ),
    st.data(),
)
def test_frames_in_any_pieces(frames: List[Any], data: st.DataObject) -> None:
    stream = b"".join(frame_head(header, len(payload)) + payload for header, payload in frames)
    decoder = FrameDecoder()
    found = []
    while stream:
        size = data.draw(st.integers(1, 100))
        found += list(decoder.feed(stream[:size]))
        stream = stream[size:]
    assert [bytes(payload) for _, payload in found] == [payload for _, payload in frames]
    assert all(same(got, sent) for (got, _), (sent, _) in zip(found, frames))


def test_the_largest_frame() -> None:
    payload = bytes(MAX_PAYLOAD)
    decoder = FrameDecoder()
    stream = frame_head({"op": "x"}, len(payload)) + payload
    frames = [frame for at in range(0, len(stream), 65536) for frame in decoder.feed(stream[at : at + 65536])]
    assert [(header, bytes(content)) for header, content in frames] == [({"op": "x"}, payload)]
    with pytest.raises(NotData):
        frame_head({"op": "x" * 1024 * 1024})


def test_what_is_not_data_names_its_place() -> None:
    with pytest.raises(NotData, match=r'^result\["model"\]\[0\] is a object'):
        encode_document({"model": [object()]}, "result")
    with pytest.raises(NotData, match="is no string"):
        encode_document({"a": {1: 2}})


def test_reading_is_fast_enough() -> None:
    document = b"".join(encode_document(list(range(500_000))))
    begin = time.perf_counter()
    decode_document(document)
    assert time.perf_counter() - begin < 5
