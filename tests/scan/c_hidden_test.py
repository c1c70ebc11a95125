# SPDX-License-Identifier: MIT
"""What one reader of a container finds and another does not: never clean. What all read alike: clean."""
import pytest

import archives
import cage
import hidden
from corpus import HEAD, b64

HIDDEN = hidden.hidden(cage.eicar())
UNNAMED = hidden.unnamed(cage.eicar())
HARMLESS = hidden.harmless()


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden(shared, name):
    facts = shared.inspect(archives.attached(HIDDEN[name]))
    assert facts.verdict not in (cage.pb.Facts.CLEAN, cage.pb.Facts.ERROR)
    assert facts.reason


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless(shared, name):
    facts = shared.inspect(archives.attached(HARMLESS[name]))
    assert facts.verdict == cage.pb.Facts.CLEAN, facts.reason


@pytest.mark.parametrize("name", UNNAMED)
def test_a_file_without_a_name(shared, name):
    facts = shared.inspect(UNNAMED[name])
    assert facts.verdict not in (cage.pb.Facts.CLEAN, cage.pb.Facts.ERROR)
    assert len(facts.attachments) == 1


@pytest.mark.parametrize("text", [b"hello\r\n" * 50, b"<html><body>x</body></html>\r\n"])
def test_archive_behind_a_text(shared, text):
    files = hidden.hidden(cage.eicar())
    for name in ("rar behind junk", "encrypted zip behind junk", "odd zip behind junk"):
        facts = shared.inspect(HEAD + b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
                               b64(text * 200 + files[name]))
        assert facts.verdict not in (cage.pb.Facts.CLEAN, cage.pb.Facts.ERROR)
