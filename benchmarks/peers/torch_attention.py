"""torch.nn.functional.scaled_dot_product_attention on all cores, denormals flushed."""

import torch

from benchmarks.attending import GRADIENTS, arrays
from benchmarks.contenders import Ready, cores
from benchmarks.workloads import Attention

torch.set_flush_denormal(True)
torch.set_num_threads(cores())


def attention(case: Attention) -> Ready:
    # torch wants heads before time, and is fastest where they lie so.
    given = [torch.from_numpy(a).transpose(1, 2).contiguous() for a in arrays(case)]

    def attend() -> torch.Tensor:
        return torch.nn.functional.scaled_dot_product_attention(*given, is_causal=case.is_causal)

    if case.direction == "forward":

        def forward() -> torch.Tensor:
            with torch.inference_mode():
                return attend()

        return Ready(forward, {"outputs": forward().transpose(1, 2).numpy()})
    for tensor in given:
        tensor.requires_grad_()

    def gradients() -> None:
        for tensor in given:
            tensor.grad = None
        attend().square().mean().backward()

    gradients()
    theirs = [tensor.grad.transpose(1, 2).clone().numpy() for tensor in given]
    return Ready(gradients, dict(zip(GRADIENTS, theirs, strict=True)))
