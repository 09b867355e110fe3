"""The tests. What several of them share asserts, too, and says what it found as they do."""

import pytest

pytest.register_assert_rewrite("tests.support", "tests.property", "tests.chaos")
