"""How gradients become updates: AdamW for everything, as the paper did it, or Muon for the matrices of the blocks.

Muon (Jordan et al. 2024) replaces the momentum of a matrix by the nearest orthogonal one, so that every direction of it
learns at the same pace. On short runs of small models it needs far fewer tokens than AdamW for the same loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from incoder_train.training.parallel import own_part
from incoder_train.training.recipe import Optimiser


def make_optimisers(
    parameters: Mapping[str, Tensor], settings: Optimiser, dtype: torch.dtype = torch.float32
) -> list[torch.optim.Optimizer]:
    """For parameters by the names they have in the model. Weight decay is for matrices; biases and norms have none. The
    embedding always goes to AdamW. dtype: in which the run computes."""
    muon = {name for name, p in parameters.items() if settings.kind == "muon" and p.dim() == 2 and "layers." in name}
    by_muon = [p for name, p in parameters.items() if name in muon]
    rest = [p for name, p in parameters.items() if name not in muon]
    groups = [
        {"params": [p for p in rest if p.dim() >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, eps=settings.eps, fused=True)
    if not by_muon:
        return [adamw]
    return [adamw, Muon(by_muon, weight_decay=settings.weight_decay, bf16=dtype == torch.bfloat16)]


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, for parameters of two dimensions. Updates have the size of AdamW's (root mean
    square 0.2, Liu et al. 2025), so both take the same learning rate and weight decay. bf16: orthogonalise in it, which
    changes a direction by one percent, as Jordan et al. do."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        bf16: bool = False,
    ):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = torch.bfloat16 if bf16 else None

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                direction = parameter.grad.lerp(momentum, group["momentum"])
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                rate = -0.2 * max(parameter.shape) ** 0.5 * group["lr"]
                if isinstance(direction, DTensor) and isinstance(
                    parameter, DTensor
                ):  # only a whole matrix has directions
                    update = own_part(orthogonalise(direction.full_tensor(), self.dtype), parameter)
                    parameter.to_local().add_(update, alpha=rate)
                else:
                    parameter.add_(orthogonalise(direction, self.dtype), alpha=rate)


def orthogonalise(matrix: Tensor, dtype: torch.dtype | None = None, steps: int = 5) -> Tensor:
    """The orthogonal matrix nearest to `matrix` (rows, columns), its singular values pushed into about [0.7, 1.2].
    dtype: of the products, by default the matrix's own.

    A quintic Newton-Schulz iteration whose coefficients maximise the slope at zero instead of converging exactly.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = (matrix / (matrix.norm() + 1e-7)).to(dtype or matrix.dtype)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if tall else x).to(matrix.dtype)
