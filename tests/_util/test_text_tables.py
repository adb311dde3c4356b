"""Numbers in texts."""

import pytest

from nengo_snnconv._util.text_tables import counted


@pytest.mark.parametrize(("n", "text"), [(0, "0 steps"), (1, "1 step"), (2, "2 steps"), (1000, "1,000 steps")])
def test_counted(n, text):
    assert counted(n, "step") == text
