"""Dense layers of instance features: projection, attention network, dropout, initial weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.contract.numerics import as_written, compute_dtype, full_precision
from mil_bench.nn.kernels import dense
from mil_bench.nn.kernels import dropout as random_bytes
from mil_bench.nn.sequences import by_parts
from mil_bench.nn.stock import computed_by


class Projection(nn.Sequential):
    """``dropout(relu(W x + b))``, the first layer of most methods; some have no ``b``.

    Parameters are those of ``Sequential(Linear, ReLU)``.
    """

    def __init__(self, in_dim: int, out_dim: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__(nn.Linear(in_dim, out_dim, bias), nn.ReLU())
        self.dropout = dropout

    def forward(self, h: Features) -> Tensor:
        """Project ``(N, in_dim)`` to ``(N, out_dim)``, in autocast's type where that is on."""
        h, layer = as_affine(h), self.get_submodule("0")
        assert isinstance(layer, nn.Linear)
        own_bias: Tensor | None = layer.bias
        # The kernel always adds one.
        bias = layer.weight.new_zeros(len(layer.weight)) if own_bias is None else own_bias
        weight, bias = h.folded(layer.weight, bias)
        p = self.dropout if self.training else 0.0
        return projected(h.x, weight, bias, p, compute_dtype(h.x))


@computed_by(dense.projected)
def projected(x: Tensor, weight: Tensor, bias: Tensor, p: float, dtype: torch.dtype) -> Tensor:
    """Compute ``dropout(relu(W x + b))`` in ``dtype``.

    ``x`` is ``(N, d)``, the weight ``(D, d)``, the bias ``(D,)``, the result ``(N, D)``.
    """
    with as_written(x):
        # F.dropout is on by default; p is 0 in evaluation mode.
        return F.dropout(F.linear(x.to(dtype), weight.to(dtype), bias.to(dtype)).relu(), p)


@dataclass(frozen=True)
class Affine:
    """``h = W x + b`` of every instance: ``x`` ``(sum N, d)``, ``W`` ``(D, d)``, ``b`` ``(D,)``.

    ``h`` is never computed, because the layers that read it are linear too. A linear layer that
    reads ``h`` multiplies ``x`` by the product of both weights. A weighted mean over a bag is taken
    of ``x`` and mapped afterwards. With ``d < D`` this is the same function for a fraction of the
    multiplications, and ``h`` takes no memory. Without ``W`` and ``b`` it is ``x`` itself.
    """

    x: Tensor
    weight: Tensor | None = None
    bias: Tensor | None = None

    def then(self, layer: nn.Linear) -> Affine:
        """Return the features after ``layer`` ``(D, D')``, which must have a bias."""
        return Affine(self.x, *self.folded(layer.weight, layer.bias))

    def folded(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weight ``(D', d)`` and bias ``(D',)`` of a layer after this map.

        They do to ``x`` what the arguments do to ``h``.
        """
        if self.weight is None or self.bias is None:
            return weight, bias
        with as_written(weight):
            return weight @ self.weight, weight @ self.bias + bias  # W' (W x + b) + b'

    def of_mean(self, pooled: Tensor) -> Tensor:
        """Return means of ``h`` ``(..., D)`` from means of ``x`` ``(..., d)``.

        Their weights must sum to 1, because the bias is added once.
        """
        if self.weight is None or self.bias is None:
            return pooled
        with as_written(pooled):
            return pooled.to(self.weight.dtype) @ self.weight.T + self.bias

    def part(self, x: Tensor) -> Affine:
        """Return the same map of other instances."""
        return replace(self, x=x)


Features = Tensor | Affine


def as_affine(h: Features) -> Affine:
    """Return ``h`` itself, or as the identity map of a tensor."""
    return h if isinstance(h, Affine) else Affine(h)


class Dropout(nn.Module):
    """:class:`torch.nn.Dropout` with ``p`` rounded to ``1/256``."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries of any shape; the input itself in evaluation mode or with ``p = 0``."""
        return dropout(x, self.p) if self.training and self.p else x

    def extra_repr(self) -> str:
        """Describe the module for ``print``."""
        return f"p={self.p}"


@computed_by(random_bytes.dropout)
def dropout(x: Tensor, p: float) -> Tensor:
    """Set every entry of ``x`` to zero with probability ``p``, else divide it by ``1 - p``."""
    return F.dropout(x, p)


def xavier_linear(module: nn.Module) -> None:
    """Set Xavier-normal weights and zero biases in every ``Linear`` below ``module``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            _zero_bias(layer)


def kaiming_linear(module: nn.Module) -> None:
    """Set Kaiming-normal weights and zero biases in every ``Linear`` below ``module``.

    Fan in, gain sqrt 2.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            _zero_bias(layer)


def orthogonal_layers(module: nn.Module) -> None:
    """Set orthogonal weights and zero biases in ``Linear`` and ``Conv1d`` below ``module``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            nn.init.orthogonal_(layer.weight)
            _zero_bias(layer)


def _zero_bias(layer: nn.Linear | nn.Conv1d) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class AttentionNet(nn.Module):
    """Instance scores before the softmax over a bag (Ilse et al., ICML 2018, eq. 8 and 9).

    Plain ``w^T tanh(V h)``; gated ``w^T (tanh(V h) * sigmoid(U h))``; ``branches`` vectors ``w``.
    ``dropout`` follows the tanh and the sigmoid. Weights: ``value`` is V, ``gate`` is U (absent
    when plain), ``score`` is w; all have biases, as in every published code.
    """

    def __init__(
        self,
        in_dim: int,
        hidden_dim: int,
        branches: int,
        gated: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.value = nn.Linear(in_dim, hidden_dim)
        self.gate = nn.Linear(in_dim, hidden_dim) if gated else None
        self.score = nn.Linear(hidden_dim, branches)
        self.dropout = dropout

    def forward(self, h: Features) -> Tensor:
        """Score ``(sum N, in_dim)`` as ``(sum N, branches)``: before softmax, float32 or more."""
        h = as_affine(h)
        # The two gates of every instance are a model's largest activation, so they go part by part.
        return by_parts(lambda x: self._score(h.part(x)), h.x)

    def _score(self, h: Affine) -> Tensor:
        layers = [self.value] if self.gate is None else [self.value, self.gate]
        weight = torch.cat([layer.weight for layer in layers])  # (2 H, D): one product for V and U
        bias = torch.cat([layer.bias for layer in layers])
        # Two independent dropouts of a product are one, which keeps what both keep.
        keep = (1 - self.dropout) ** len(layers) if self.training else 1.0
        w, b = self.score.weight, self.score.bias
        # Folding before the product: an affine h is never formed.
        return attention_scores(h.x, *h.folded(weight, bias), w, b, keep, compute_dtype(h.x))


@computed_by(dense.attention_scores)
def attention_scores(
    x: Tensor, weight: Tensor, bias: Tensor, w: Tensor, b: Tensor, keep: float, dtype: torch.dtype
) -> Tensor:
    """Compute ``w dropout(tanh(V x) * sigmoid(U x)) + b``: ``(N, K)`` in float32 or more.
    ``x`` is ``(N, D)``. ``weight`` ``(2 H, D)`` and ``bias`` hold V above U, or V only ``(H, D)``;
    ``w`` is ``(K, H)``.
    """
    with as_written(x):
        hidden = F.linear(x.to(dtype), weight.to(dtype), bias.to(dtype))  # (N, 2 H) or (N, H)
        value, *gate = torch.split(hidden, w.shape[1], 1)
        gated = value.tanh() * gate[0].sigmoid() if gate else value.tanh()
        # One dropout of the product: keep is the chance that both factors are kept.
        return F.linear(F.dropout(full_precision(gated), 1 - keep), w, b)
