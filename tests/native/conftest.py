"""The library, compiled once a session, in a folder of the session if it does not exist yet."""

import pytest

from lstm_attn import native
from lstm_attn.native.build import compiler


@pytest.fixture(scope="session", autouse=True)
def compiled(tmp_path_factory):
    if native.available():
        return
    if compiler() is None:
        pytest.skip("no C++ compiler: the native kernels cannot be built here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        native.build()
        assert native.available()


@pytest.fixture
def threads(monkeypatch):
    """Sets the number of threads that the next calls ask for."""

    def ask(count):
        monkeypatch.setattr("lstm_attn.native.call.thread_count", lambda: count)

    return ask
