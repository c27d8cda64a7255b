"""MSU-Net (Su et al. 2021, doi 10.3389/fgene.2021.639930): a U-Net whose blocks look with 3 x 3 and 7 x 7 kernels."""

import torch
from torch import Tensor, nn

from stact_pacs.networks.config import SegmenterConfig


class MsuNet(nn.Module):
    """Segment single frames (B, 1, H, W) in [0, 1]: logits (B, 1, H, W). H and W are multiples of `config.stride`."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        widths = config.widths
        inputs = (1, *widths[:-1])
        self.encoder = nn.ModuleList(MultiScaleBlock(i, o) for i, o in zip(inputs, widths, strict=True))
        self.pool = nn.MaxPool2d(2)
        coarse_to_fine = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(low, high, 2, stride=2) for low, high in coarse_to_fine)
        self.decoder = nn.ModuleList(MultiScaleBlock(2 * high, high) for _, high in coarse_to_fine)
        self.readout = nn.Conv2d(widths[0], 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        skips = []
        x = frames
        for level, block in enumerate(self.encoder):
            x = block(self.pool(x) if level else x)
            skips.append(x)
        for up, block, skip in zip(self.up, self.decoder, skips[-2::-1], strict=True):
            x = block(torch.cat([skip, up(x)], dim=1))
        logits: Tensor = self.readout(x)
        return logits


class MultiScaleBlock(nn.Module):
    """Two parallel branches, 3 x 3 and 7 x 7, each twice; a 1 x 1 convolution merges them, without norm after it."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.fine = _twice(channels_in, channels_out, kernel=3)
        self.coarse = _twice(channels_in, channels_out, kernel=7)
        self.merge = nn.Conv2d(2 * channels_out, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        merged: Tensor = self.merge(torch.cat([self.fine(x), self.coarse(x)], dim=1))
        return merged


def _twice(channels_in: int, channels_out: int, *, kernel: int) -> nn.Sequential:
    """Return [convolution, batch norm, ReLU] twice; the size of the image stays."""
    layers: list[nn.Module] = []
    for channels in (channels_in, channels_out):
        layers += [nn.Conv2d(channels, channels_out, kernel, padding=kernel // 2)]
        layers += [nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
