# SPDX-License-Identifier: MIT
"""EICAR in odd structures and in containers that are not opened: never clean."""
import pathlib
import zipfile

import pytest

import archives
import cage
import odd_corpus

ODD = odd_corpus.odd()
UNOPENED = archives.unopened(cage.eicar())
CLAM = sorted(p.name for p in pathlib.Path("/usr/share/clamav-testfiles").iterdir())


def test_there_are_enough():
    assert len(ODD) >= 50 and len(CLAM) == 44


@pytest.mark.parametrize("name", ODD)
def test_odd_mime(shared, name):
    facts = shared.inspect(ODD[name])
    assert facts.verdict not in (cage.pb.Facts.CLEAN, cage.pb.Facts.ERROR)
    assert facts.reason


@pytest.mark.parametrize("name", UNOPENED)
def test_container(shared, name):
    facts = shared.inspect(archives.attached(UNOPENED[name]))
    assert facts.verdict not in (cage.pb.Facts.CLEAN, cage.pb.Facts.ERROR)


@pytest.mark.parametrize("name, verdict", [
    ("rar5", "UNSCANNABLE"), ("lzma zip", "UNSCANNABLE"), ("deflate64 zip", "INFECTED"), ("encrypted zip", "ENCRYPTED"),
    ("encrypted 7z with names", "ENCRYPTED"), ("zip 20 deep", "LIMIT"), ("zip 200 deep", "LIMIT"),
])
def test_container_verdict(shared, name, verdict):
    assert shared.inspect(archives.attached(UNOPENED[name])).verdict == cage.Verdict.Value(verdict)


@pytest.mark.parametrize("depth", range(1, 12))
def test_nested_zip_is_opened(shared, depth):
    data = archives.nested_zip(cage.eicar(), depth)
    assert shared.inspect(archives.attached(data)).verdict == cage.pb.Facts.INFECTED


@pytest.mark.parametrize("name", CLAM)
def test_clamav_testfiles(shared, name):
    data = (pathlib.Path("/usr/share/clamav-testfiles") / name).read_bytes()
    assert shared.inspect(archives.attached(data, name)).verdict == cage.pb.Facts.INFECTED


def test_bomb_meets_a_limit(start):
    c = start(tmp_size="16M")
    facts = c.inspect(archives.attached(archives.bomb(40 << 20)))
    assert facts.verdict == cage.pb.Facts.LIMIT
    big = archives.zip_of(*((f"{i}", bytes([i]) * (7 << 20), zipfile.ZIP_DEFLATED) for i in range(6)))
    assert c.inspect(archives.attached(big)).verdict == cage.pb.Facts.LIMIT
