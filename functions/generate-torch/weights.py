"""Weights in two places: pinned memory of the host, and the device. They move; only while they move are there two copies.

Pinning is slow, some gigabytes a second, and a wake must not pay for it: the pinned memory is taken once and kept.
"""
import os

import torch

# Rows that are made at once: a whole matrix in single precision would be twice what it is to be.
ROWS = 1_024


def device():
    """The device of this worker: its sandbox holds no other. Without one the processor, for trials."""
    return os.environ.get("DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


class Weights:
    def __init__(self, shapes, device):
        self.device = device
        self.shapes = shapes
        self.is_on_device = False
        # By name, where they are now.
        self.tensors = {}
        pins = device.startswith("cuda")
        self.pinned = {name: torch.empty(shape, dtype=torch.float16, pin_memory=pins) for name, shape in shapes.items()}
        self.bytes = sum(tensor.numel() * tensor.element_size() for tensor in self.pinned.values())

    def make(self):
        """Random, and the same for the same sizes and release of PyTorch: nothing is downloaded."""
        generator = torch.Generator().manual_seed(20_260_101)
        for name, tensor in self.pinned.items():
            scale = 1.0 if name in ("embedding", "head") else 0.6 if name == "position" else 1.6 / tensor.shape[0] ** 0.5
            for row in range(0, tensor.shape[0], ROWS):
                count = min(ROWS, tensor.shape[0] - row)
                made = torch.randn(count, tensor.shape[1], generator=generator) * scale
                tensor[row:row + count] = made.to(torch.float16)
        self.tensors = self.pinned

    def to_device(self):
        if self.is_on_device:
            return
        # All copies are under way at once; the link is what they wait for.
        self.tensors = {name: tensor.to(self.device, non_blocking=True) for name, tensor in self.pinned.items()}
        self.wait()
        self.is_on_device = True

    def to_host(self):
        if not self.is_on_device:
            return
        # No name of this function's may be left on a tensor of the device: it would hold its memory.
        for name in self.pinned:
            self.pinned[name].copy_(self.tensors[name], non_blocking=True)
        # Before the device's memory is let go of, all of it must have come.
        self.wait()
        self.tensors = self.pinned
        self.is_on_device = False
        if self.device.startswith("cuda"):
            # What PyTorch keeps for its next tensors would count as this function's residue.
            torch.cuda.empty_cache()

    def wait(self):
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
