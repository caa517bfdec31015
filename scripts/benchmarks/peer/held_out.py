"""Loss on held-out sequences that both sides share."""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class HeldOut:
    """Masked sequences, as Material.held_out writes them.

    input_ids: (B, T) int64; masked_positions, labels: (B, P) int64; real: (B, P) bool, False where
    a sequence has fewer than P targets.
    """

    input_ids: torch.Tensor
    masked_positions: torch.Tensor
    labels: torch.Tensor
    real: torch.Tensor

    @classmethod
    def read(cls, path: str) -> "HeldOut":
        """Read an .npz file."""
        arrays = {name: torch.from_numpy(array) for name, array in np.load(path).items()}
        whole = ("input_ids", "masked_positions", "labels")
        return cls(**{name: arrays[name].long() for name in whole}, real=arrays["real"])

    def loss(self, network: torch.nn.Module, in_bf16: bool) -> float:
        """Return the mean cross-entropy of the targets, in nats."""
        network.eval()
        sides = (torch.split(each, 32) for each in (self.input_ids, self.masked_positions))
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, in_bf16):
            rows = [
                target_logits(network, ids, positions)
                for ids, positions in zip(*sides, strict=True)
            ]
        network.train()
        logits = torch.cat(rows).float()[self.real]
        return float(torch.nn.functional.cross_entropy(logits, self.labels[self.real]))


def target_logits(
    network: torch.nn.Module, input_ids: torch.Tensor, positions: torch.Tensor
) -> torch.Tensor:
    """Return the logits (B, P, V) of the positions (B, P) of sequences (B, T)."""
    logits: torch.Tensor = network(input_ids=input_ids).logits
    return logits.gather(1, positions[..., None].expand(-1, -1, logits.shape[-1]))
