import pytest


@pytest.fixture(autouse=True, scope="module")
def quickly(compiled_quickly):
    """All modules here."""
