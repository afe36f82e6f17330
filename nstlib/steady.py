"""Steady videos: keep the last result where the next frame shows the same.

A little camera noise is enough to change a stroke, so a video that is painted frame by frame flickers. Therefore the last
result is moved along with the objects in the video, in three steps. Let x be a pixel of the current frame:

    1. Motion. u(x) says where x was in the last frame: I(x) = J(x + u), where J is the last frame and I the current one.
       Small windows of the grey frames are matched from coarse to fine by the linear system of Lucas and Kanade (`motion`).
    2. Trust. w(x) is 1 where the last frame, moved along u, looks like the current one. It is 0 where something new has
       appeared, such as at the edges of moving objects, and everywhere after a cut (`follow`).
    3. Blend. The result is  (1 - s w) painted(x) + s w last(x + u),  with the steadiness s (`hold`).

Lucas, Kanade: An Iterative Image Registration Technique with an Application to Stereo Vision, 1981. Moving results along
with the motion was proposed by Ruder, Dosovitskiy, Brox: Artistic Style Transfer for Videos, 2016,
https://arxiv.org/abs/1604.08610
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nstlib.utils.checks import check_number, check_picture
from nstlib.utils.opacity import lay_on_white

STEADY = 0.8
"""The default steadiness of feed-forward methods."""

FRAME_STEPS = 20
"""The default number of steps that Gatys takes for every frame but the first."""

FINEST = 256
"""The largest short side at which motion is estimated, in pixels. Motion is smooth, so it can be scaled to larger frames."""

COARSEST = 16
"""The short side of the smallest frames that are matched, in pixels."""

WINDOW = 9
"""The side of the windows that are matched, in pixels."""

NOISE = 0.004
"""The contrast, in grey levels per pixel, below which a window says little about its motion."""

STILL, GAIN = 33, 0.5
"""A window of this side has moved if the motion leaves less than this share of its squared difference. Otherwise the
difference is noise."""

TOLERANCE = 0.05
"""The difference between colours, averaged over 5 x 5 pixels, at which the trust falls to 1/e."""

CUT = 0.5
"""If the mean trust is lower than this, a frame has nothing in common with the last one."""


@dataclass(frozen=True)
class Before:
    """The last frame of a video and its result.

    Attributes:
        frame: the last frame, `(1, 3, H, W)` in [0, 1], or `(1, 4, H, W)` with opacity.
        result: the picture that was painted from it.
    """

    frame: Tensor
    result: Tensor


def hold(result: Tensor, frame: Tensor, before: Before | None, steady: float = STEADY) -> Tensor:
    """Reduce flicker: blend a result with the last one where both frames show the same.

    Args:
        result: the picture painted from `frame`, `(1, 3, H, W)` in [0, 1], or `(1, 4, H, W)` with opacity, which is kept.
        frame: the current frame, of the same height and width.
        before: the last frame and its result. None if there is none.
        steady: share of the last result, in [0, 1], where it can be trusted. 0 returns `result` unchanged.

    Raises:
        ValueError: `steady` is out of range.

    Example:
        >>> frame = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
        >>> shown = hold(1 - frame, frame, Before(frame, 0.9 - 0.9 * frame), steady=0.5)
        >>> torch.allclose(shown, 0.95 - 0.95 * frame, atol=1e-4)
        True
    """
    steady = check_number("steady", steady, 0, 1)
    if before is None or steady == 0 or before.result.shape[2:] != result.shape[2:]:
        return result
    moved, trust = follow(before, frame)
    # (1 - s w) painted(x) + s w last(x + u)
    blended = result[:, :3].lerp(moved.result.to(result), (steady * trust).to(result))
    return torch.cat([blended, result[:, 3:]], 1)


def follow(before: Before, frame: Tensor) -> tuple[Before, Tensor]:
    """Move the last frame and its result along with the motion in the video.

    Args:
        before: the last frame and its result.
        frame: the current frame, `(1, 3 or 4, H, W)` in [0, 1], of the size of the last result.

    Returns:
        Both of them, moved to the current frame, `(1, 3, H, W)`, and how far they can be trusted, `(1, 1, H, W)` in [0, 1].
    """
    old, now = (lay_on_white(check_picture(one, "frame", opacity=True)) for one in (before.frame, frame))
    if old.shape != now.shape:
        return Before(now, before.result[:, :3]), torch.zeros_like(now[:, :1])
    flow = motion(old, now)
    moved = Before(warp(old, flow), warp(before.result[:, :3], flow.to(before.result)))
    difference = F.avg_pool2d(moved.frame - now, 5, 1, 2).abs().amax(1, keepdim=True)
    # w = exp(-(d / TOLERANCE)^4), d: the largest difference of the three colours
    trust = (-((difference / TOLERANCE) ** 4)).exp()  # (1, 1, H, W)
    trust = -F.max_pool2d(-trust, 5, 1, 2)  # strokes are broader than the edges that they follow
    trust = trust * _shift(torch.ones_like(trust), flow, outside="zeros")  # 0 for pixels from outside the last frame
    if before.result.shape[1] == 4:
        trust = trust * _shift(before.result[:, 3:], flow)  # and for pixels that were transparent
    return moved, trust.clamp(0, 1)


def motion(last: Tensor, frame: Tensor) -> Tensor:
    """Estimate where every pixel of a frame was in the last frame, both `(1, 3, H, W)` in [0, 1].

    Returns:
        `(1, 2, H, W)`: offsets to the right and down, in pixels.

    Example:
        >>> from nstlib import samples
        >>> photograph = samples.content("astronaut", 128)
        >>> flow = motion(photograph[..., :96], photograph[..., 3:99])  # the camera has moved 3 pixels to the right
        >>> flow[0, :, 32:64, 32:64].mean((1, 2)).round().int().tolist()
        [3, 0]
    """
    height, width = frame.shape[2:]
    scale = min(1.0, FINEST / min(height, width))
    size = round(height * scale), round(width * scale)
    grey = torch.cat([last, frame]).mean(1, keepdim=True)  # (2, 1, H, W)
    pairs = [F.interpolate(grey, size, mode="bilinear", antialias=True)]
    while min(pairs[-1].shape[2:]) >= 2 * COARSEST:
        pairs.append(F.avg_pool2d(_mean(pairs[-1], 3), 2))
    flow = frame.new_zeros(1, 2, *pairs[-1].shape[2:])
    for pair in reversed(pairs):  # (2, 1, h, w), coarse to fine
        old, now = _mean(pair, 5).split(1)
        flow = _resize_flow(flow, now.shape[2:])
        for _ in range(3):
            flow = _mean(flow + _lucas_kanade(_shift(old, flow), now), 5)
        # where nothing moves there is only noise, which must not be followed
        moved, stays = (_mean((one - now).square(), STILL) for one in (_shift(old, flow), old))
        flow = torch.where(moved < GAIN * stays, flow, 0)
    return _resize_flow(flow, (height, width))


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Move a picture `(1, C, H, W)` in [0, 1]: pixel x of the result is the one at x + flow(x), by bicubic interpolation."""
    return _shift(picture, flow, "bicubic", "reflection").clamp(0, 1)


def _shift(picture: Tensor, flow: Tensor, mode: str = "bilinear", outside: str = "border") -> Tensor:
    height, width = picture.shape[2:]
    y = torch.arange(height, device=flow.device).to(flow)[:, None] + flow[0, 1]
    x = torch.arange(width, device=flow.device).to(flow) + flow[0, 0]
    # the corners of the picture are at -1 and 1
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], -1)[None]  # (1, H, W, 2)
    return F.grid_sample(picture, grid.to(picture), mode=mode, padding_mode=outside, align_corners=False)


def _lucas_kanade(old: Tensor, now: Tensor) -> Tensor:
    """Return the step `(1, 2, H, W)`, of at most one pixel, from positions of `now` to matching positions of `old`.

    In every window, (sum g g^T + noise) d = sum g (now - old), where g is the mean gradient of the two.
    """
    padded = F.pad((old + now) / 2, (1, 1, 1, 1), mode="replicate")
    gx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    gy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    gt = now - old
    xx, xy, yy, xt, yt = _mean(torch.cat([gx * gx, gx * gy, gy * gy, gx * gt, gy * gt], 1), WINDOW).split(1, 1)
    xx, yy = xx + NOISE**2, yy + NOISE**2
    step = torch.cat([yy * xt - xy * yt, xx * yt - xy * xt], 1) / (xx * yy - xy * xy)
    return step.clamp(-1, 1)


def _mean(x: Tensor, size: int) -> Tensor:
    """Return means over the square around every pixel, with replication padding."""
    channels = x.shape[1]
    row = x.new_full((channels, 1, 1, size), 1 / size)
    # two convolutions are several times as fast as avg_pool2d
    padded = F.pad(x, [size // 2] * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, row, groups=channels), row.mT, groups=channels)


def _resize_flow(flow: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    factor = flow.new_tensor([size[1] / flow.shape[3], size[0] / flow.shape[2]])[:, None, None]
    return factor * F.interpolate(flow, tuple(size), mode="bilinear", align_corners=False)
