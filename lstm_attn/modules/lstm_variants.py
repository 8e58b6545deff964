"""The published variants of the LSTM as modules; each is `LSTM` with other parameters."""

from lstm_attn import ops
from lstm_attn.modules.initializers import (
    Initializer,
    every_gate,
    glorot,
    ones,
    orthogonal,
    per_gate,
    zeros,
)
from lstm_attn.modules.recurrent import LSTM


class PeepholeLSTM(LSTM):
    """The LSTM whose gates see the cell: `ops.peephole_lstm_step`. One more parameter, peephole."""

    peephole_init: Initializer = zeros

    def parameters(self, features_in: int) -> ops.PeepholeLSTMParams:
        peephole = self.param(
            "peephole", self.peephole_init, (3 * self.features,), self.param_dtype
        )
        return ops.PeepholeLSTMParams(*self.standard_parameters(features_in), peephole=peephole)


class CoupledLSTM(LSTM):
    """The LSTM that writes as much as it forgets: `ops.coupled_lstm_step`; gates f, g, o."""

    gate_order = "fgo"

    kernel_init: Initializer = every_gate(3, glorot)
    recurrent_kernel_init: Initializer = every_gate(3, orthogonal)
    bias_init: Initializer = per_gate(ones, zeros, zeros)

    def parameters(self, features_in: int) -> ops.CoupledLSTMParams:
        return ops.CoupledLSTMParams(*self.fused(features_in, 3))


class LayerNormLSTM(LSTM):
    """The LSTM with each sum normalised: `ops.layer_norm_lstm_step`; scales start at one."""

    def parameters(self, features_in: int) -> ops.LayerNormLSTMParams:
        width, dtype = 4 * self.features, self.param_dtype
        return ops.LayerNormLSTMParams(
            *self.standard_parameters(features_in),
            kernel_scale=self.param("kernel_scale", ones, (width,), dtype),
            recurrent_scale=self.param("recurrent_scale", ones, (width,), dtype),
            cell_scale=self.param("cell_scale", ones, (self.features,), dtype),
            cell_bias=self.param("cell_bias", zeros, (self.features,), dtype),
        )


LSTM_VARIANTS: dict[str, type[LSTM]] = {
    "standard": LSTM,
    "peephole": PeepholeLSTM,
    "coupled": CoupledLSTM,
    "layer_norm": LayerNormLSTM,
}
