"""Random damage to files: flipped bits, missing parts, and archives and JSON with wrong contents."""

import copy
import io
import json
import os
import zipfile

import numpy as np

# number of mutations of each file in a test; a thorough run sets a larger one
N_MUTATIONS = int(os.environ.get("NENGO_SNNCONV_MUTATIONS", "60"))

VALUES = [None, True, 0, -1, 2, 10**9, 10**30, 1e300, -1e300, 1e-300, float("nan"), float("inf")]
VALUES += ["", "x", "/", "conv", "\x00", "\ud800", [], [0], [-1], [1e9], [[1]], {}, {"a": 1}]
VALUES += [{"float": "nan"}, {"class": "os.system", "arguments": {}}]
VALUES += [{"class": "nengo.neurons.Izhikevich", "arguments": {}}]
VALUES += [{"class": "nengo.synapses.LinearFilter", "arguments": {"num": [1], "den": [0]}}]
HEADERS = [(10**12,), (-1,), (2**62, 4), (), (True,)]
DTYPES = ["<f4", "|O", "<c8", "|S4", "<f16", "|V4"]


def damaged(data, rng):
    """Return (kind, bytes): the kind of damage, and the content of a file with it."""
    data = bytearray(data)
    kind = rng.choice(["flip", "cut", "remove", "insert"])
    if kind == "flip":
        for _ in range(rng.choice([1, 1, 2, 8])):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        return kind, bytes(data)
    first, second = sorted(rng.randrange(len(data)) for _ in range(2))
    if kind == "cut":
        return kind, bytes(data[:first])
    if kind == "remove":
        return kind, bytes(data[:first] + data[second:])
    return kind, bytes(data[:first] + rng.randbytes(rng.randrange(100)) + data[first:])


def changed_archive(data, rng):
    """Return (kind, bytes): the kind of change, and an .npz archive with a changed description, array or members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    kind = rng.choice(["description", "description", "array", "members"])
    place = rng.randrange(len(members))
    name, content = members[place]
    if kind == "description":
        place = next(i for i, (name, _) in enumerate(members) if name.startswith("description"))
        text = np.load(io.BytesIO(members[place][1])).tobytes()
        members[place] = members[place][0], _npy(np.frombuffer(changed_json(text, rng), np.uint8))
    elif kind == "array":
        members[place] = name, _changed_array(np.load(io.BytesIO(content)), rng)
    else:
        members = rng.choice(
            [
                members[:place] + members[place + 1 :],
                [*members, (name, rng.choice(members)[1])],
                [*members, ("../other.npy", content)],
                [*members[:place], (rng.choice(["x.npy", "model/.npy", "a" * 5000]), content), *members[place + 1 :]],
                [*members[:place], (name, rng.randbytes(50)), *members[place + 1 :]],
            ]
        )
    written = io.BytesIO()
    compression = rng.choice([zipfile.ZIP_DEFLATED] * 8 + [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(written, "w", compression) as archive:
        for name, content in members:
            if name in archive.namelist():
                archive.writestr("twice", content)
                archive.infolist()[-1].filename = name  # without zipfile's warning
            else:
                archive.writestr(name, content)
    return kind, written.getvalue()


DEEP = "placeholder of nested lists"


def changed_json(text, rng):
    """Return the bytes of a JSON object with changed values or names, or truncated."""
    found = json.loads(text)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = list(_places(found))
        holder, key = rng.choice(places)
        drawn = rng.random()
        if drawn < 0.15:
            del holder[key]
        elif drawn < 0.25 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(holder[key]))
        elif drawn < 0.3 and isinstance(holder, dict):
            holder["new"] = copy.deepcopy(rng.choice(VALUES))
        elif drawn < 0.4 and type(holder[key]) in (int, float):
            holder[key] *= rng.choice([-1, 0, 2, 10, 10**6, 0.5])
        else:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
    depth = 0
    if rng.random() < 0.05:
        holder, key = rng.choice(list(_places(found)) or [(found, "new")])
        holder[key], depth = DEEP, rng.choice([51, 901, 5001])
    # insert nested lists as text, since json.dumps would exceed the recursion limit
    text = json.dumps(found).replace(json.dumps(DEEP), "[" * depth + "]" * depth).encode()
    if rng.random() < 0.05:
        text = text.replace(b'": ', b'": 1, "a": 2, "a": ', 1)
    return text[: rng.randrange(len(text))] if rng.random() < 0.03 else text


def _places(value):
    """Yield (container, key) for all values in nested dicts and lists."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


def _changed_array(array, rng):
    """Return the bytes of an .npy file with a wrong header, type, shape or values."""
    made = rng.randrange(12)
    if made < 4:
        written = io.BytesIO()
        shape, descr = (
            rng.choice([*HEADERS, array.shape[::-1], (*array.shape, 0)]),
            rng.choice([*DTYPES, array.dtype.str]),
        )
        header = {"descr": descr, "fortran_order": rng.random() < 0.3, "shape": shape}
        np.lib.format.write_array_header_1_0(written, header)
        return written.getvalue() + array.tobytes()
    return _npy(
        [
            lambda: np.full(array.shape, np.nan, np.float32),
            lambda: np.full(array.shape, 1e38, np.float32),
            lambda: array.astype(complex),
            lambda: array.astype(object),
            lambda: np.full(array.shape, "x"),
            lambda: np.zeros(array.shape, [("a", "f4"), ("b", "f4")]),
            lambda: array.ravel(),
            lambda: array[..., None][:0],
        ][made - 4]()
    )


def _npy(array):
    written = io.BytesIO()
    np.save(written, array, allow_pickle=True)
    return written.getvalue()
