"""Digests: equal for equal contents, and the same in all versions, since files and caches hold them."""

import hashlib
import io
import zlib

import numpy as np

from nengo_snnconv._util.digests import blake2b, crc32, digest, file_md5, sha256

ARRAY = np.arange(6, dtype=np.int32).reshape(2, 3)


def test_crc32_is_that_of_all_bytes():
    assert crc32(b"ab", ARRAY) == zlib.crc32(b"ab" + ARRAY.tobytes())
    assert crc32(ARRAY, start=crc32(b"ab")) == crc32(b"ab", ARRAY)
    assert crc32(ARRAY.T) == zlib.crc32(ARRAY.T.tobytes()) != crc32(ARRAY)


def test_sha256_is_that_of_all_bytes():
    assert sha256(b"ab", ARRAY.T) == hashlib.sha256(b"ab" + ARRAY.T.tobytes()).hexdigest()


def test_digest_of_values():
    assert digest(ARRAY, [1, "a"]) == "b1d4634c69cc1e6d6681d1ad1ebab42f64edc36a95078c2a965134ae8a2f1cd3"
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert len({digest(ARRAY), digest(ARRAY.ravel()), digest(ARRAY.astype(np.int64)), digest(ARRAY.tolist())}) == 4


def test_other_digests():
    assert blake2b(b"ab", 8) == hashlib.blake2b(b"ab", digest_size=8).digest()
    assert file_md5(io.BytesIO(b"ab" * 10**6)) == hashlib.md5(b"ab" * 10**6).hexdigest()
