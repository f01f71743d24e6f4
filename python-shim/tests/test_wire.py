from __future__ import annotations

import os
from typing import Any, Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tagged import load, raw, same, untag

from lazycluster_agent.base.errors import Failure
from lazycluster_agent.wire.frames import MAX_PAYLOAD, FrameDecoder, frame_head
from lazycluster_agent.wire.msgpack import NotData, WireError, pack, unpack


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


def test_a_failure_can_be_told_whatever_its_text_is() -> None:
    names = os.fsdecode(b"/\xff/python"), "\ud800"
    told: Any = unpack(bytes(pack(Failure("python", "%s %s" % names, path=names[0]).fields())))
    assert told["message"] == "/\\udcff/python \\ud800"


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


@given(plain)
def test_every_plain_value_comes_back(value: Any) -> None:
    assert same(unpack(bytes(pack(value))), value)


@given(st.binary(max_size=200))
def test_garbage_is_read_or_refused(data: bytes) -> None:
    try:
        unpack(data)
    except WireError:
        pass
    try:
        list(FrameDecoder().feed(data))
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
