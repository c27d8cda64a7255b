"""The U-Net that MSU-Net is measured against: the same levels, but each block looks with 3 x 3 kernels alone."""

import torch
from torch import Tensor, nn


class PlainUnet(nn.Module):
    """Segment frames (B, 1, H, W): logits (B, 1, H, W). `widths` are the channels of each level, finest first."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))  # from a coarse level to the finer one above it
        self.down = nn.ModuleList(block(i, o) for i, o in zip((1, *widths[:-1]), widths, strict=True))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(low, high, 2, stride=2) for low, high in steps)
        self.up = nn.ModuleList(block(2 * high, high) for _, high in steps)
        self.readout = nn.Conv2d(widths[0], 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        levels = [self.down[0](frames)]
        for down in self.down[1:]:
            levels.append(down(nn.functional.max_pool2d(levels[-1], 2)))
        x = levels.pop()
        for enlarge, up in zip(self.enlarge, self.up, strict=True):
            x = up(torch.cat([levels.pop(), enlarge(x)], dim=1))
        logits: Tensor = self.readout(x)
        return logits


def block(channels_in: int, channels_out: int) -> nn.Sequential:
    """Return [3 x 3 convolution, batch norm, ReLU] twice; the size of the image stays."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels_out, channels_out, 3, padding=1),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )
