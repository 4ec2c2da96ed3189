"""The container of saved files: values come back bit by bit, changed bytes are refused with a reason."""
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pymixed import _core
from pymixed._archives import read_archive, write_archive
from pymixed.errors import InputError

VALUES = {
    "text": "größe\0",
    "texts": ["", "a", "größe"],
    "none": [],
    "special": np.array([np.nan, -np.inf, -0.0, 5e-324]),
    "matrix": np.arange(6.0).reshape(2, 3).T,
    "strided": np.arange(10)[::3],
    "big-endian": np.array([1, 2**40], ">i8"),
    "scalar": np.array(3.5),
    "empty": np.zeros((2, 0, 3), np.int32),
    "int64": np.array([-2**63, 2**63 - 1, 0]),
    "int32": np.array([-2**31, 2**31 - 1], np.int32),
    "int8": np.array([-128, 127], np.int8),
    "uint64": np.array([0, 2**64 - 1], np.uint64),
    "uint8": np.array([[0], [255]], np.uint8),
    "bool": np.array([True, False]),
}


def test_values_come_back_bit_by_bit():
    found = _core.unpack(_core.pack(VALUES))
    assert set(found) == set(VALUES)
    for name, value in VALUES.items():
        if not isinstance(value, np.ndarray):
            assert found[name] == value
            continue
        assert found[name].dtype == value.dtype.newbyteorder("=")
        assert found[name].shape == value.shape
        assert found[name].tobytes() == value.astype(found[name].dtype).tobytes()


@pytest.mark.parametrize(("values", "dtype"), [(range(0, 10**6, 100), np.int64), ([7.0] * 10**4, np.float64),
                                               ([0, 200] * 5000, np.int32)])
def test_integers_take_one_byte_where_they_can(values, dtype):
    array = np.array(values, dtype)
    data = _core.pack({"a": array})
    assert len(data) < len(array) + 100
    assert_array_equal(_core.unpack(data)["a"], array)


@pytest.mark.parametrize("value", [np.array(["a"]), np.array([1j]), np.array([None]), np.float32([1]), 3, ["a", 1],
                                   ("a",), {}, None])
def test_other_values_are_refused(value):
    with pytest.raises(ValueError, match="archive: expected x to be text, a list of texts or an array"):
        _core.pack({"x": value})


def test_changed_bytes_are_refused_with_the_reason():
    data = _core.pack(VALUES)
    newer = bytearray(data)
    newer[8] += 1
    for spoilt, reason in ((b"", "no file of pymixed"), (b"PK\3\4", "no file of pymixed"), (data[:-1], "truncated"),
                           (data[:9], "truncated"), (data + b"\0", "damaged"), (bytes(newer), "a newer version")):
        with pytest.raises(_core.ArchiveError, match=reason):
            _core.unpack(spoilt)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x10
        with pytest.raises(_core.ArchiveError):
            _core.unpack(bytes(changed))


def test_text_that_is_none_is_damage():
    import zlib

    data = bytearray(_core.pack({"x": "abc"}))
    data[-7:-4] = b"\xff\xfe\xfd"
    data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "little")
    with pytest.raises(_core.ArchiveError, match="damaged"):
        _core.unpack(bytes(data))


def test_files(tmp_path):
    path = tmp_path / "file"
    write_archive(path, 3, {"a": [1, None]}, {"x": np.ones(2), "y": ["b"]})

    def make(header, values):
        return header, values

    header, values = read_archive(path, 3, make, "things", "writer")
    assert header == {"a": [1, None]}
    assert set(values) == {"x", "y"}
    with pytest.raises(InputError, match="expected things in format 2, got 3; a newer version"):
        read_archive(path, 2, make, "things", "writer")
    whole = path.read_bytes()
    message = r"path: expected things that writer wrote, whole and unchanged, got " + re.escape(repr(str(path)))
    for spoilt, reason in ((whole[:30], "the file is truncated"), (b"a,b\n", "these bytes are no file of pymixed"),
                           (whole[:-1] + b"?", "the file is damaged")):
        path.write_bytes(spoilt)
        with pytest.raises(InputError, match=f"{message}: {reason}"):
            read_archive(path, 3, make, "things", "writer")
    path.write_bytes(_core.pack({"x": "no header"}))
    with pytest.raises(InputError, match=f"{message}$"):
        read_archive(path, 3, make, "things", "writer")
