"""Objectives: what `nst.train` minimises.

An objective holds the network that is trained and turns a batch of pictures into named terms of a loss. Each method has
one, beside its model; a method of your own derives one from the base class here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from torch import Tensor, nn


class Objective(nn.Module, ABC):
    """The base class of objectives.

    Attributes:
        network: what is trained, averaged and saved. All other parameters of the module must be frozen.

    Example:
        >>> import torch
        >>> class Copy(Objective):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.network = nn.Conv2d(3, 3, 3, padding=1)
        ...
        ...     def forward(self, content, style):
        ...         return {"pixels": (self.network(content) - content).square().mean()}
        ...
        ...     def sample(self, content, style):
        ...         return self.network(content).clamp(0, 1)
        >>> sorted(Copy()(torch.rand(2, 3, 16, 16), None))
        ['pixels']
    """

    network: nn.Module

    @abstractmethod
    def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
        """Return the named terms of the loss, weighted: scalars, means over the batch. Their sum is minimised.

        Args:
            content: `(B, 3, S, S)` in [0, 1].
            style: `(B, 3, S, S)` in [0, 1], or None if the run has no folder of styles.
        """

    def prepare(self, batches: Iterator[tuple[Tensor, Tensor | None]]) -> None:
        """Look at pictures of a new run before its first step, if the method needs to know what is usual among them.

        Args:
            batches: pairs of content and style as for `forward`, some hundred pictures in all. What isn't taken isn't read.
        """

    @abstractmethod
    def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
        """Return results for the sample sheet, `(B, 3, S, S)` in [0, 1], without gradients."""

    def constants(self) -> dict[str, Tensor]:
        """Return what the weights are to hold besides the network, name -> tensor, such as what was read of a painting."""
        return {}

    def describe(self) -> dict[str, str]:
        """Return what the metadata of the weights should say: method, style, encoder, width, weights of the terms."""
        return {}
