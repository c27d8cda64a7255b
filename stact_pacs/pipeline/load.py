"""Build the networks of a bundle and load their weights, from the very bytes that were verified."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import nn

from stact_pacs.bundle import SEGMENTER, TRUNK, Bundle, member_file
from stact_pacs.cine.preprocessing import Preprocessing
from stact_pacs.errors import BundleInvalid, Misconfigured
from stact_pacs.networks.config import MemberConfig, SegmenterConfig, TrunkConfig
from stact_pacs.networks.image_encoder import build_trunk
from stact_pacs.networks.member import Member
from stact_pacs.networks.msunet import MsuNet

_Config = TypeVar("_Config", SegmenterConfig, TrunkConfig, MemberConfig)

SELF_TEST = "Run: stact-pacs check. If the self-test of the bundle fails there, use another device or bundle."
"""What to do when a network gives values that cannot be."""

_OTHER_SOFTWARE = "Use the software version that the bundle was made for, or train it again."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Networks:
    """Every network of a bundle, in evaluation mode, on one device."""

    segmenter: nn.Module
    """(B, 1, H, W) to logits (B, 1, H, W); computes in `dtype`."""
    trunk: nn.Module
    """(B, 3, S, S) to features (B, D); computes in `dtype`."""
    members: tuple[nn.Module, ...]
    """The fold members; they compute in float32, whatever the trunk does: they are small."""
    device: torch.device
    dtype: torch.dtype
    """float32, or bfloat16 by autocast where the bundle was tested so."""

    def autocast(self) -> torch.autocast:
        """Return the context in which the segmenter and the trunk run."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype is torch.bfloat16)


def pick_device(wish: str) -> torch.device:
    """Return the device of the setting: `auto` takes a GPU when there is one.

    Raises
    ------
    Misconfigured
        A GPU is asked for that is not there.
    """
    gpus = torch.cuda.device_count()
    if wish == "auto":
        return torch.device("cuda" if gpus else "cpu")
    device = torch.device(wish)
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise Misconfigured(
            f"compute.device is {wish!r}, but torch sees {gpus} GPUs.",
            remedy="Install a GPU driver that this torch supports, or set compute.device to auto or cpu.",
        )
    return device


def load_networks(bundle: Bundle, device: torch.device) -> Networks:
    """Build and load every network of the bundle.

    Raises
    ------
    BundleInvalid
        A file has changed, or sizes and weights do not fit this software.
    """
    manifest = bundle.manifest
    segmenter_config = _config(SegmenterConfig, manifest.segmenter, "segmenter")
    trunk_config = _config(TrunkConfig, manifest.trunk, "trunk")
    member_config = _config(MemberConfig, manifest.member, "member")
    _require_fit(manifest.preprocessing, segmenter_config, trunk_config, member_config)
    segmenter = _loaded(MsuNet(segmenter_config), bundle, SEGMENTER)
    trunk = _loaded(_trunk(trunk_config), bundle, TRUNK)
    members = [_loaded(Member(member_config), bundle, member_file(n + 1)) for n in range(manifest.members)]
    return Networks(
        # Channels last is the faster layout for convolutions on every device that was measured.
        segmenter=segmenter.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        trunk=trunk.to(device),
        members=tuple(member.to(device) for member in members),
        device=device,
        dtype=torch.bfloat16 if manifest.precision == "bfloat16" else torch.float32,
    )


def _config(kind: type[_Config], table: Mapping[str, Any], name: str) -> _Config:
    unknown = sorted(set(table) - set(kind.__dataclass_fields__))
    if unknown:
        raise BundleInvalid(f"[{name}] has the unknown sizes {', '.join(unknown)}.", remedy=_OTHER_SOFTWARE)
    try:
        return TypeAdapter(kind).validate_python(table)
    except ValidationError as error:
        raise BundleInvalid(f"[{name}] is not valid: {error}.", remedy=_OTHER_SOFTWARE) from error


def _require_fit(
    preprocessing: Preprocessing, segmenter: SegmenterConfig, trunk: TrunkConfig, member: MemberConfig
) -> None:
    """Compare the sizes that must agree; otherwise the first cine would fail, not the start."""
    wrong = []
    if preprocessing.segmenter_size % segmenter.stride:
        wrong.append(f"preprocessing.segmenter_size must be a multiple of {segmenter.stride}, the segmenter's stride")
    if preprocessing.image_size != trunk.img_size:
        wrong.append(f"preprocessing.image_size must be {trunk.img_size}, as trunk.img_size")
    if member.trunk_dim != trunk.embed_dim:
        wrong.append(f"member.trunk_dim must be {trunk.embed_dim}, as trunk.embed_dim")
    if wrong:
        raise BundleInvalid(f"The sizes of the manifest do not fit: {'; '.join(wrong)}.", remedy=_OTHER_SOFTWARE)


def _trunk(config: TrunkConfig) -> nn.Module:
    try:
        return build_trunk(config)
    except RuntimeError as error:  # timm's word for a name that it does not know
        raise BundleInvalid(f"[trunk] cannot be built: {error}.", remedy=_OTHER_SOFTWARE) from error


def _loaded(network: nn.Module, bundle: Bundle, file_name: str) -> nn.Module:
    try:
        network.load_state_dict(load(bundle.content(file_name)), strict=True)
    except (RuntimeError, SafetensorError) as error:  # missing, unexpected or differently shaped tensors
        raise BundleInvalid(
            f"{file_name} does not fit the sizes of the manifest: {error}", remedy=_OTHER_SOFTWARE
        ) from error
    return network.eval().requires_grad_(False)
