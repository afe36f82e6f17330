"""Objectives: the losses that `nst.train` minimises.

An objective holds the network to be trained, and turns a batch of pictures into the named terms of a loss. Each method has
one beside its model. For a method of your own, derive an objective from the base class in this module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from torch import Tensor, nn


class Objective(nn.Module, ABC):
    """The base class of objectives.

    Attributes:
        network: the part that is trained, averaged and saved. All other parameters of the module must be frozen.

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
        """Return the weighted terms of the loss by name, as scalars averaged over the batch. Their sum is minimised.

        Args:
            content: `(B, 3, S, S)` in [0, 1].
            style: `(B, 3, S, S)` in [0, 1], or None if the run has no folder of styles.
        """

    def prepare(self, batches: Iterator[tuple[Tensor, Tensor | None]]) -> None:
        """Gather statistics of the training pictures before the first step of a new run, if the method needs them.

        Args:
            batches: pairs of content and style as for `forward`, a few hundred pictures in total, loaded as you iterate.
        """

    @abstractmethod
    def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
        """Return results for the sample sheet, `(B, 3, S, S)` in [0, 1]. Called without gradients."""

    def constants(self) -> dict[str, Tensor]:
        """Return tensors to save beside the network's weights, by name, such as the Gram matrices of a painting."""
        return {}

    def describe(self) -> dict[str, str]:
        """Return the metadata of the weights: method, style, encoder, width, weights of the terms."""
        return {}
