"""Video files: read and write them with PyAV (FFmpeg), with correct time stamps, colours, pixel shape, rotation and sound.

A frame is converted with the colour matrix that it is tagged with. Without a tag, it is that of BT.709 for 577 lines or more
and that of BT.601 below, as in players. Written files are BT.709 in limited range, and tagged.
"""

from __future__ import annotations

import heapq
import io
import secrets
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import torch
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from torch import Tensor

from nstlib.utils.animations import Clip, Frame
from nstlib.utils.files import clear_leftovers, named_errors
from nstlib.utils.opacity import lay_on_white

UNTAGGED = 2
"""FFmpeg's AVCOL_SPC_UNSPECIFIED."""

HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
"""Transfer characteristics of high dynamic range, PQ and HLG. Many phones record in the latter."""

EXACT = 0x4 | 0x2000 | 0x4000 | 0x40000
"""Scaler flags for exact colours: SWS_BICUBIC, SWS_FULL_CHR_H_INT, SWS_FULL_CHR_H_INP, SWS_ACCURATE_RND."""

# Both encoders return the packet of a frame immediately, so that a stopped run loses nothing.
X264 = {"crf": "17", "tune": "zerolatency"}
VP9 = {"crf": "24", "deadline": "good", "cpu-used": "4", "row-mt": "1", "lag-in-frames": "0"}

CONTAINERS: dict[str, tuple[str, str, dict[str, str], str]] = {
    ".mp4": ("mp4", "libx264", X264, "aac"),
    ".m4v": ("mp4", "libx264", X264, "aac"),
    ".mov": ("mov", "libx264", X264, "aac"),
    ".mkv": ("matroska", "libx264", X264, "aac"),
    ".avi": ("avi", "libx264", {**X264, "x264-params": "repeat-headers=1"}, "libmp3lame"),
    ".webm": ("webm", "libvpx-vp9", VP9, "libopus"),
}
"""Suffix -> FFmpeg's name of the container, the encoder, its options, and the encoder for sound that can't be copied."""


# ------------------------------------------------------------------------------------------------- reading


def open_movie(source: Path) -> Clip:
    """Open a video file for reading. `OSError` if it can't be read."""
    try:
        container = av.open(f"file:{source}")  # FFmpeg takes the part before a colon for a protocol
    except (av.FFmpegError, OSError) as error:
        raise OSError(f"'{source}' is no video that can be read ({error.strerror})") from error
    stream = container.streams.best("video")
    if not isinstance(stream, av.VideoStream) or stream.time_base is None:
        raise OSError(f"'{source}' holds no video, only sound or text")
    stream.thread_type = "AUTO"
    average = stream.average_rate or Fraction(25)
    rate = min(stream.base_rate or average, max(average, Fraction(60)))  # the base rate of a phone's video may be 90000
    # Pixels become square, because players would stretch the strokes, and animations have square pixels only.
    size = round(stream.width * (stream.sample_aspect_ratio or 1)), stream.height
    counted = container.format.name == "avi"  # AVI counts frames, and FFmpeg would guess time stamps
    scaler = VideoReformatter()

    def frames() -> Iterator[Frame]:
        end = offset = Fraction(container.start_time or 0, av.time_base)
        with container, suppress(av.InvalidDataError):  # at the end of an incomplete file
            for packet in container.demux(stream):
                decoded: list[Any] = []
                with suppress(av.InvalidDataError):  # skip a damaged packet, as players do
                    decoded = packet.decode()
                for frame in decoded:
                    stamp = frame.dts if counted else frame.pts
                    start = end if stamp is None else stamp * frame.time_base
                    duration = frame.duration * frame.time_base or 1 / rate
                    end = start + duration
                    yield start - offset, duration, partial(_to_picture, scaler, frame, *size)

    seconds = Fraction(container.duration or 0, av.time_base)
    count = stream.frames or round(seconds * average)
    return Clip(frames(), count, stream.time_base, rate, sound=source)


def _to_picture(scaler: VideoReformatter, frame: av.VideoFrame, width: int, height: int) -> Tensor:
    """Convert a frame to an upright picture `(1, 3, H, W)` in [0, 1], as players do."""
    options: dict[str, Any] = {}
    if frame.colorspace == UNTAGGED:
        options["src_colorspace"] = Colorspace.ITU709 if frame.height > 576 else Colorspace.ITU601
    if frame.color_trc in HDR:
        options |= {"dst_color_trc": ColorTrc.BT709, "dst_color_primaries": ColorPrimaries.BT709}
    scaled = scaler.reformat(frame, width, height, "rgb24", interpolation=EXACT, **options)
    pixels = torch.from_numpy(scaled.to_ndarray())  # (H, W, 3)
    return torch.rot90(pixels, round(frame.rotation / 90)).permute(2, 0, 1)[None].contiguous().float() / 255


# ------------------------------------------------------------------------------------------------- writing


class MovieWriter:
    """Write a video file. Frames are encoded into a folder, and joined with the sound at the end.

    The folder `kept` holds one NUT file per run, named after the number of its first frame. Frames that are already in the
    folder count as added. NUT stores exact time stamps and can be read if its end is missing, so a killed run loses only the
    frame that was being written.
    """

    gap = 1

    def __init__(self, out: Path, kept: Path, clip: Clip) -> None:
        self.out, self.kept, self.clip = out, kept, clip
        self.container, self.encoder, self.options, self.sound_encoder = CONTAINERS[out.suffix.lower()]
        self.tick = 1 / clip.rate if self.container == "avi" else clip.tick  # AVI counts frames
        self.part: tuple[Any, Any] | None = None  # the container of this run, and its stream
        self.done = self._resume()

    def add(self, picture: Tensor, start: Fraction) -> None:
        """Encode the next frame, `(1, 3, H, W)`, and flush it to disk. An odd last row or column is dropped."""
        if picture.shape[1] == 4 and not self.done:
            warnings.warn(f"'{self.out.name}' can't be transparent as its source is, so it lies on white", stacklevel=2)
        pixels = lay_on_white(picture)[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).cpu()  # (H, W, 3)
        height, width = pixels.shape[0] // 2 * 2, pixels.shape[1] // 2 * 2  # colours have half the resolution
        frame = av.VideoFrame.from_ndarray(pixels[:height, :width].contiguous().numpy(), format="rgb24")
        frame = frame.reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=EXACT,
        )
        frame.pts, frame.time_base = round(start / self.tick), self.tick
        with named_errors(self.out):
            container, stream = self.part = self.part or self._open_part(pixels.shape[:2])
            container.mux(stream.encode(frame))
        self.done += 1

    def close(self) -> None:
        """Finish the file of this run."""
        if self.part is not None:
            (container, stream), self.part = self.part, None
            with named_errors(self.out), container:
                container.mux(stream.encode(None))

    def write(self, times: Sequence[Fraction]) -> None:
        """Join frames and sound. `times` holds the starts of all frames, and the end."""
        clear_leftovers(self.out.parent)
        temporary = self.out.with_name(f".nst-{secrets.token_hex(6)}.tmp{self.out.suffix}")
        try:
            with named_errors(self.out):
                with av.open(f"file:{temporary}", "w", format=self.container) as container:
                    streams = self._frames(container, times), self._sound(container)
                    for packet in heapq.merge(*streams, key=lambda packet: packet.dts * packet.time_base):
                        container.mux(packet)
                temporary.replace(self.out)
        finally:
            temporary.unlink(missing_ok=True)

    def _open_part(self, shape: Sequence[int]) -> tuple[Any, Any]:
        path = self.kept / f"{self.done:08}.nut"
        container = av.open(f"file:{path}", "w", options={"flush_packets": "1"})
        stream: Any = container.add_stream(self.encoder, rate=self.clip.rate, options=self.options)
        stream.height, stream.width = (side // 2 * 2 for side in shape)
        context = stream.codec_context
        context.time_base = self.tick
        context.colorspace, context.color_range = 1, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        return container, stream

    def _resume(self) -> int:
        """Return the number of frames that are kept."""
        count = 0
        with suppress(av.FFmpegError):  # the run may have been killed while it was writing
            for packet in self._packets():
                count += len(packet.decode())
        done = max(0, count - 1)  # the last one may be incomplete
        for part in self._parts():
            if int(part.stem) >= done:
                part.unlink()
        return done

    def _parts(self) -> list[Path]:
        return sorted(self.kept.glob("*.nut"))

    def _packets(self) -> Iterator[Any]:
        """Yield the packets that are kept. Each file is valid up to the first frame of the next one."""
        parts = self._parts()
        starts = [int(part.stem) for part in parts]
        for part, start, stop in zip(parts, starts, [*starts[1:], None]):
            with av.open(f"file:{part}") as container:
                packets = (packet for packet in container.demux(video=0) if packet.size)
                yield from islice(packets, None if stop is None else stop - start)

    def _frames(self, container: Any, times: Sequence[Fraction]) -> Iterator[Any]:
        """Add a stream for the painted frames to `container`, and yield their packets."""
        stream = None
        for packet, start, end in zip(self._packets(), times, times[1:]):
            if stream is None:
                stream = container.add_stream_from_template(packet.stream, time_base=self.tick)
                stream.codec_context.color_primaries = ColorPrimaries.BT709  # NUT doesn't store these two
                stream.codec_context.color_trc = ColorTrc.BT709
            packet.stream, packet.time_base = stream, self.tick
            packet.pts = packet.dts = round(start / self.tick)
            packet.duration = round(end / self.tick) - packet.pts
            yield packet

    def _sound(self, container: Any) -> Iterator[Any]:
        """Add a stream for the source's sound to `container`, copied if possible, and yield its packets."""
        if self.clip.sound is None:
            return
        with av.open(f"file:{self.clip.sound}") as source, suppress(av.InvalidDataError):  # as for the frames
            sound = next((stream for stream in source.streams.audio if stream.codec_context is not None), None)
            if sound is None:
                return
            packets: Any
            if _fits(self.clip.sound, sound.index, self.container):
                stream, packets = container.add_stream_from_template(sound), source.demux(sound)
            else:
                stream = container.add_stream(self.sound_encoder, rate=48000)
                packets = chain.from_iterable(map(stream.encode, chain(source.decode(sound), [None])))
            offset = Fraction(source.start_time or 0, av.time_base)
            for packet in packets:
                if packet.dts is not None:
                    packet.stream = stream
                    shift = round(offset / packet.time_base)
                    packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                    yield packet


def _fits(source: Path, index: int, container: str) -> bool:
    """Return whether a container can hold a sound stream unchanged, by trying it: FFmpeg only finds out when it writes."""
    try:
        with av.open(f"file:{source}") as clip, av.open(io.BytesIO(), "w", format=container) as trial:
            packet: Any = next(clip.demux(clip.streams[index]))
            packet.stream = trial.add_stream_from_template(packet.stream)
            trial.mux(packet)
    except (av.FFmpegError, ValueError):
        return False
    return True
