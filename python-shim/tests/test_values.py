from __future__ import annotations

import subprocess
import sys
import time
from datetime import date, datetime, timedelta, timezone
from typing import Any, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tagged import EPOCH, Frame, load, raw, same, untag

from lazycluster_agent.base.errors import Failure
from lazycluster_agent.values import frames
from lazycluster_agent.values.arrays import pack_array
from lazycluster_agent.values.codes import EXT_HANDLE, Special
from lazycluster_agent.values.decode import DocumentReader, decode_document
from lazycluster_agent.values.encode import ENCODERS, encode_document
from lazycluster_agent.values.frames import Column, pack_columns, pack_items
from lazycluster_agent.wire.msgpack import NotData, WireError


def pack_frame(packer: Any, frame: Frame, depth: int) -> None:
    def column(items: Any) -> Column:
        pack = pack_items if isinstance(items, list) else pack_array
        return Column(lambda packer, depth: pack(packer, items, depth))

    columns = [column(items) for items in frame.values()]
    rows = len(next(iter(frame.values()))) if frame else 0
    pack_columns(packer, list(frame), columns, rows, depth)


@pytest.mark.parametrize("vector", load("documents.json"))
def test_documents(vector: Dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "make_frame", Frame)
    monkeypatch.setitem(ENCODERS, Frame, pack_frame)
    data = raw(vector["hex"])
    if vector.get("error"):
        # Some are seen only by a library that may be missing.
        with pytest.raises((WireError, Failure)):
            decode_document(data)
        return
    value = untag(vector["value"])
    assert same(decode_document(data), value)
    if not vector.get("decodeOnly"):
        assert b"".join(encode_document(value)) == data


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**60, 2**70)
    | st.floats()
    | st.text("aü€😀")
    | st.binary()
    | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(timezone.utc))
    | st.dates()
)
keys = st.recursive(
    st.integers() | st.text("ab") | st.binary(max_size=2) | st.dates(),
    lambda inner: st.lists(inner, max_size=2).map(tuple) | st.frozensets(inner, max_size=2),
    max_leaves=3,
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text("ab"), inner)
        | st.dictionaries(keys, inner, max_size=5)
        | st.sets(keys, max_size=5)
    ),
)


@given(values)
def test_every_value_comes_back(value: Any) -> None:
    assert same(decode_document(b"".join(encode_document(value))), value)


@given(values, st.data())
def test_a_damaged_document_is_read_or_refused(value: Any, data: st.DataObject) -> None:
    document = bytearray(b"".join(encode_document(value)))
    at = data.draw(st.integers(0, len(document) - 1))
    document[at] ^= data.draw(st.integers(1, 255))
    try:
        decode_document(bytes(document[: data.draw(st.integers(0, len(document)))]))
    except WireError:
        pass


@pytest.mark.parametrize("document", [b"\0\0\0\0", b"\0\0\0\0x", b"\xff\xff\xff\xffx", b"\0\0\0\1"])
def test_a_tree_of_no_bytes_or_too_many_is_refused(document: bytes) -> None:
    with pytest.raises(WireError):
        decode_document(document)


def test_what_is_not_data_names_its_place() -> None:
    with pytest.raises(NotData, match=r'^result\["model"\]\[0\] is a object'):
        encode_document({"model": [object()]}, "result")
    with pytest.raises(NotData, match=r'^result\["a"\]\[7\]\[1\] is a object'):
        encode_document({"a": {7: [0, object()]}}, "result")
    with pytest.raises(NotData, match=r"^result is a datetime.timedelta"):
        encode_document(timedelta(1), "result")


def test_reading_is_fast_enough() -> None:
    document = b"".join(encode_document(list(range(500_000))))
    begin = time.perf_counter()
    decode_document(document)
    assert time.perf_counter() - begin < 5


@given(st.binary(max_size=200))
def test_garbage_is_read_or_refused(data: bytes) -> None:
    for document in (data, b"\0\0\0" + bytes((len(data) + 2,)) + b"\x92\x90" + data):
        try:
            decode_document(document)
        except WireError:
            pass


@given(values, st.data())
def test_a_document_in_any_pieces(value: Any, data: st.DataObject) -> None:
    document = b"".join(encode_document([value, b"abc", b"", b"d"]))
    reader = DocumentReader()
    at = 0
    while at < len(document):
        size = data.draw(st.integers(1, 40))
        reader.feed(document[at : at + size])
        at += size
    assert same(reader.value(), [value, b"abc", b"", b"d"])


def test_nothing_that_is_only_announced_is_allocated() -> None:
    import tracemalloc

    tree = b"\x92\x91\xd3" + (2**50).to_bytes(8, "big") + b"\xd6\x02\0\0\0\0"
    tracemalloc.start()
    reader = DocumentReader()
    reader.feed(len(tree).to_bytes(4, "big") + tree)
    reader.feed(bytes(100_000))
    with pytest.raises(WireError, match="cut off"):
        reader.value()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_an_array_is_a_writable_view_of_the_bytes_that_came() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(1000.0)
    pieces = encode_document(array)
    assert numpy.shares_memory(array, numpy.asarray(pieces[-1]))
    reader = DocumentReader()
    for piece in pieces:
        reader.feed(piece)
    back = reader.value()
    back += 1
    assert (back == array + 1).all()
    assert type(back.base) is bytearray


def test_arrays_of_any_layout() -> None:
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(24, dtype="int16").reshape(2, 3, 4)
    for sent, expected in (
        (array.T, array.T),
        (array[:, ::2], array[:, ::2]),
        (array.astype(">i2"), array),
        (numpy.asfortranarray(array), array),
        (numpy.float16([1.5, 2]), numpy.float32([1.5, 2])),
        (array[0:0], array[0:0]),
        (numpy.array(5), numpy.array(5)),
        (numpy.array(["2020-01-01", "NaT"], "M8[D]"), numpy.array(["2020-01-01", "NaT"], "M8[D]")),
    ):
        assert same(back(sent), expected)
    assert back(numpy.array([["a", "bc"]])) == [["a", "bc"]]
    scalars = [
        numpy.int8(-1),
        numpy.uint64(2**64 - 1),
        numpy.float32(0.5),
        numpy.bool_(True),
        numpy.str_("s"),
    ]
    assert same(back(scalars), [-1, 2**64 - 1, 0.5, True, "s"])
    assert same(back(numpy.datetime64("1969-12-31T23:59:59")), EPOCH - timedelta(seconds=1))
    assert back(numpy.datetime64("NaT")) is None
    for wrong in (
        numpy.array([1j]),
        numpy.array([None]),
        numpy.zeros(2, "i4,f8"),
        numpy.timedelta64(1, "s"),
        numpy.ma.array([1, 2], mask=[0, 1]),
    ):
        with pytest.raises(NotData):
            encode_document(wrong)


def back(value: Any) -> Any:
    return decode_document(b"".join(map(bytes, encode_document(value))))


def columns(frame: Any, monkeypatch: pytest.MonkeyPatch) -> Dict[str, Any]:
    """What a frame's columns travel as: lists, and arrays as their type and items."""
    monkeypatch.setattr(frames, "make_frame", Frame)
    return {
        name: column if isinstance(column, list) else (column.dtype.name, column.astype(str).tolist())
        for name, column in back(frame).items()
    }


@pytest.mark.parametrize("arrow", [True, False])
def test_a_pandas_frame(arrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    if arrow:
        pytest.importorskip("pyarrow")
    else:
        monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    days = ["2020-01-01", None]
    frame = pandas.DataFrame(
        {
            "integers": [1, 2],
            "floats": [1.5, None],
            "texts": ["aé", None],
            "strings": pandas.array(["x", None], dtype="string"),
            "times": pandas.to_datetime(days),
            "zoned": pandas.to_datetime(["2020-01-01T01:00+01:00"] * 2),
            "gaps": pandas.array([1, None], dtype="Int64"),
            "whole": pandas.array([1, 2], dtype="Int8"),
            "flags": pandas.array([True, False], dtype="boolean"),
            "kinds": pandas.Categorical(["u", None]),
            "numbers": pandas.Categorical([7, 7]),
            "mixed": [None, 1],
            "lists": [[1], ["a"]],
            3: [0, 0],
        }
    )
    frame["mixed"] = frame["mixed"].astype(object)
    found = columns(frame, monkeypatch)
    assert list(found) == [str(name) for name in frame.columns]
    assert found["integers"] == ("int64", ["1", "2"])
    assert found["floats"] == ("float64", ["1.5", "nan"])
    assert found["texts"] == ["aé", None]
    assert found["strings"] == ["x", None]
    assert found["times"] == ("datetime64[ns]", ["2020-01-01T00:00:00.000000000", "NaT"])
    assert found["zoned"][1] == ["2020-01-01T00:00:00.000000000"[: len(found["zoned"][1][0])]] * 2
    assert found["gaps"] == [1, None]
    assert found["whole"] == ("int8", ["1", "2"])
    assert found["flags"] == ("bool", ["True", "False"])
    assert found["kinds"] == ["u", None]
    assert found["numbers"] == ("int64", ["7", "7"])
    assert found["lists"] == [[1], ["a"]]
    grouped = frame.groupby("texts")[["integers"]].sum()
    assert columns(grouped, monkeypatch) == {"texts": ["aé"], "integers": ("int64", ["1"])}
    series = pandas.Series([1.5], name="s")
    assert columns(series, monkeypatch) == {"s": ("float64", ["1.5"])}
    assert columns(pandas.DataFrame(), monkeypatch) == {}
    with pytest.raises(NotData, match=r"""^value\["when"\]\[0\] is a pandas"""):
        encode_document(pandas.DataFrame({"when": pandas.period_range("2020", periods=1, freq="D")}))
    with pytest.raises(NotData, match="two columns"):
        encode_document(pandas.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_frame_arrives_in_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    pandas.testing.assert_frame_equal(back(frame), frame)


@pytest.mark.parametrize("arrow", [True, False])
def test_a_polars_frame(arrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    polars = pytest.importorskip("polars")
    pytest.importorskip("numpy")
    if arrow:
        pytest.importorskip("pyarrow")
    else:
        monkeypatch.delitem(sys.modules, "pyarrow", raising=False)
    frame = polars.DataFrame(
        {
            "integers": [1, 2],
            "gaps": [1, None],
            "floats": [1.5, None],
            "texts": ["aé", None],
            "flags": [True, False],
            "times": [datetime(2020, 1, 1), None],
            "days": [date(2020, 1, 1)] * 2,
            "lists": [[1], []],
        }
    )
    found = columns(frame, monkeypatch)
    assert found["integers"] == ("int64", ["1", "2"])
    assert found["gaps"] == [1, None]
    assert found["floats"] == ("float64", ["1.5", "nan"])
    assert found["texts"] == ["aé", None]
    assert found["flags"] == ("bool", ["True", "False"])
    assert found["times"] == ("datetime64[us]", ["2020-01-01T00:00:00.000000", "NaT"])
    assert found["days"][1][0].startswith("2020-01-01")
    assert found["lists"] == [[1], []]
    assert columns(frame["integers"], monkeypatch) == {"integers": ("int64", ["1", "2"])}


def test_an_arrow_table(monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("numpy")
    table = pyarrow.table(
        {
            "integers": [0, 1, 2],
            "gaps": [0, 1, None],
            "floats": pyarrow.array([0, 1.5, None], pyarrow.float32()),
            "texts": ["-", "aé", None],
            "kinds": pyarrow.array(["-", "u", "v"]).dictionary_encode(),
            "flags": [True, True, False],
            "times": pyarrow.array([0, 1, None], pyarrow.timestamp("ms")),
            "days": pyarrow.array([0, 1, None], pyarrow.date32()),
            "lists": [[], [1], None],
        }
    )
    chunks = pyarrow.concat_tables([table.slice(1, 1), table.slice(2)])
    for part in (table.slice(1), chunks, table.slice(1).to_batches()[0]):
        found = columns(part, monkeypatch)
        assert found["integers"] == ("int64", ["1", "2"])
        assert found["gaps"] == [1, None]
        assert found["floats"] == ("float32", ["1.5", "nan"])
        assert found["texts"] == ["aé", None]
        assert found["kinds"] == ["u", "v"]
        assert found["flags"] == ("bool", ["True", "False"])
        assert found["times"] == ("datetime64[ms]", ["1970-01-01T00:00:00.001", "NaT"])
        assert found["days"] == ("datetime64[D]", ["1970-01-02", "NaT"])
        assert found["lists"] == [[1], None]
    assert columns(table.slice(0, 0), monkeypatch)["texts"] == []


def test_a_naive_datetime_is_in_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-02:00")
    time.tzset()
    try:
        assert back(datetime(2020, 1, 1, 2)) == datetime(2020, 1, 1, tzinfo=timezone.utc)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_others_encode() -> None:
    handle = Special(EXT_HANDLE, {"repr": "<x>", "mime": {"image/png": b"png"}})
    (document,) = [b"".join(map(bytes, encode_document([handle])))]
    assert b"png" in document
    # As an argument a handle is an index.
    tree = b"\x92\x90\xd6\x09\0\0\0\x07"
    argument = len(tree).to_bytes(4, "big") + tree
    assert decode_document(argument, lambda kind, content: (kind, content)) == (EXT_HANDLE, 7)


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name in ("numpy", "pandas", "polars", "pyarrow"):
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Blocked())
from lazycluster_agent.values.decode import decode_document
from lazycluster_agent.base.errors import Failure
frame = bytes.fromhex(sys.argv[2])
print(decode_document(frame))
try:
    decode_document(bytes.fromhex(sys.argv[3]))
except Failure as failure:
    print(failure.kind, failure.message)
print(sorted(name for name in sys.modules if name in ("re", "datetime", "numpy", "pandas", "asyncio")))
"""


def test_a_host_without_libraries() -> None:
    vectors = {param.id: param.values[0]["hex"] for param in load("documents.json")}
    source = str(frames.__file__).rpartition("/lazycluster_agent/")[0]
    arguments = [source, vectors["a frame of texts"], vectors["an array of float64"]]
    run = [sys.executable, "-S", "-c", SCRIPT, *arguments]
    result = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    frame, failure, loaded = result.stdout.splitlines()
    assert frame == "{'t': ['a', None, 'é!']}"
    assert failure.startswith(
        "module There is no NumPy on this host, which an array among the arguments needs."
    )
    assert failure.endswith(sys.executable + " -m pip install numpy")
    # Nothing is imported that no value needs.
    assert loaded == "[]"
