"""./check must count one passed and three failed here: if not, it does not see what pytest reports."""
import os
import time

import pytest


def test_passes():
    assert 1 + 1 == 2


def test_fails():
    assert 1 + 1 == 3


def test_hangs():
    time.sleep(3600)


@pytest.mark.skip(reason="a skipped test is not a passed one")
def test_is_skipped():
    assert os.getpid() > 0
