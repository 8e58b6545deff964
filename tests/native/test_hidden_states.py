"""d loss / d h_t through the native kernel."""

import pytest

from lstm_attn import modules
from tests.modules.test_hidden_states import check_implementation


@pytest.mark.parametrize("segment", [None, 2])
def test_the_kernel_has_the_derivative_of_the_scan(compiled, segment):
    """Oracle: the plain scan. Catches a kernel that loses the state's gradient at one step."""
    check_implementation(modules.LSTM, "native", segment)
