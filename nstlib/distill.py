"""Making `vgg19_mini`: VGG19 at a quarter of its widths, pruned first, then distilled.

    python -m nstlib.distill --pictures photos/ paintings/ --out vgg19_mini.safetensors
    python -m nstlib.distill --pictures photos/ paintings/ --vgg19 vgg19_to_relu3_4.safetensors \\
        --squeezenet squeezenet1_0.safetensors --out vgg19_mini.safetensors

The first form takes the whole of VGG19 as the teacher. The second serves where only its first blocks are at hand: the
blocks that VGG19 can't teach learn from SqueezeNet 1.0, whose fire5..fire8 sit at the stride of block 4 and fire9 at
that of block 5.

1. **Prune.** Layer by layer: choose the teacher's channels that best span all of them linearly, then solve a
   least-squares problem from the student's own input patches to the teacher's pre-activations of those channels.
2. **Distil.** All layers together, by Adam: 1x1 convolutions (the heads) read the teacher's channels out of the
   student's, block means of the colours out of relu3_4 and relu4_1, and a small decoder paints the picture from relu4_1,
   because decoders will have to. Layers that were not pruned carry batch normalisation while they train, so that no
   unit dies; it is folded into their convolutions at the end.
3. **Scale.** A ReLU network computes the same when a channel is divided by s and the weights that read it are multiplied
   by s. So every channel is given a mean activation of 1 over natural pictures, as Gatys did with VGG19. (Channels that
   fire rarely are given a root mean square of 3 instead.)

The last `--held-out` pictures of each folder, by name, are never trained on: the model card that is written beside the
weights is measured on them. A run that was stopped continues from its checkpoint.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from nstlib.encoder import Encoder
from nstlib.image import load_image
from nstlib.weights import FORMAT, imagenet_color, load_file, load_network

WIDTHS = (24, 48, 64, 160, 128)
"""Channels of blocks 1 to 5."""
LAYERS = tuple(f"{block}_{n}" for block, depth in enumerate((2, 2, 4, 4, 1), 1) for n in range(1, depth + 1))
"""The convolutions of the student, conv1_1 to conv5_1."""
FIRES = {"relu4_1": "fire5", "relu4_2": "fire6", "relu4_3": "fire7", "relu4_4": "fire8", "relu5_1": "fire9"}
"""What SqueezeNet teaches: student layer -> fire module of the same stride."""

Convs = dict[str, tuple[Tensor, Tensor]]


# ------------------------------------------------------------------------------------------------ pictures


def load_folders(folders: Sequence[Path], held_out: int, size: int = 288) -> tuple[list[Tensor], list[Tensor]]:
    """The pictures of flat folders as uint8 `(3, H, W)` with short side `size`: (to train on, held out)."""
    train: list[Tensor] = []
    test: list[Tensor] = []
    for folder in folders:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        if len(files) <= held_out:
            raise ValueError(f"{folder} holds {len(files)} pictures, and {held_out} of them are to be held out")
        for number, file in enumerate(files):
            picture = load_image(file, size=size)[0].mul(255).round().byte()
            (test if number >= len(files) - held_out else train).append(picture)
    return train, test


def random_crops(pictures: Sequence[Tensor], batch: int, size: int, random: torch.Generator) -> Tensor:
    """`batch` random crops, half of them mirrored: `(batch, 3, size, size)` in [0, 1]."""

    def integer(high: int) -> int:
        return int(torch.randint(high, (1,), generator=random))

    crops = []
    for _ in range(batch):
        picture = pictures[integer(len(pictures))]
        top, left = integer(picture.shape[1] - size + 1), integer(picture.shape[2] - size + 1)
        crop = picture[:, top : top + size, left : left + size]
        crops.append(crop.flip(2) if integer(2) else crop)
    return torch.stack(crops).float() / 255


# ------------------------------------------------------------------------------------------------ teachers


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0 as a teacher: pictures -> {"fire5": ..., "fire9": ...}.

    Its first convolution gets a padding of 3, so that its positions line up with VGG's.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        from torchvision.models import squeezenet1_0

        network = squeezenet1_0()
        network.load_state_dict(state)
        self.features = network.features[:13]
        self.features[0].padding = (3, 3)
        self.color = imagenet_color()
        self.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        x = F.conv2d(pictures, *self.color)
        features = {}
        for index, module in enumerate(self.features):
            x = module(x)
            if index in (7, 8, 9, 10, 12):
                features[f"fire{index - 2 if index < 12 else 9}"] = x
        return features


class Teachers(nn.Module):
    """What there is to learn from: VGG19 as far as it is known, and SqueezeNet for the layers that are missing."""

    def __init__(self, vgg: str | Path, squeezenet: str | Path | None) -> None:
        super().__init__()
        convs = load_network(vgg).convs
        self.convs = {name: pair for name, pair in convs.items() if name.removeprefix("conv") in LAYERS}
        self.vgg = Encoder(vgg, [name.replace("conv", "relu") for name in self.convs])
        self.missing = [f"relu{layer}" for layer in LAYERS if f"conv{layer}" not in self.convs]
        if self.missing and squeezenet is None:
            raise ValueError(f"{vgg} ends before {self.missing[0]}: name a SqueezeNet for the layers it can't teach")
        self.squeezenet = SqueezeNet(load_file(squeezenet)) if self.missing and squeezenet else None

    @torch.no_grad()
    def forward(self, pictures: Tensor, *, only_missing: bool = False) -> dict[str, Tensor]:
        """Student layer -> the features that it is to explain, `(B, C, H, W)`."""
        features = {} if only_missing else self.vgg(pictures)
        if self.squeezenet is not None:
            fires = self.squeezenet(pictures)
            features |= {layer: fires[FIRES[layer]] for layer in self.missing}
        return features


# ------------------------------------------------------------------------------------------------ 1. prune


def select_channels(features: Tensor, count: int) -> Tensor:
    """The `count` channels that best span all of them linearly, greedily.

    Features are centred and standardised first: chosen by raw energy, colour is what gets lost. Each round takes the
    channel that explains most of what is left of all channels, and subtracts what it explains.

    Args:
        features: `(N, C)`, samples of the teacher's activations.

    Returns:
        `(count,)` indices, sorted.
    """
    x = features.double()
    x = (x - x.mean(0)) / x.std(0).clamp(min=1e-6)
    covariance = x.T @ x / len(x)  # (C, C), of what is not explained yet
    chosen: list[int] = []
    for _ in range(count):
        variance = covariance.diagonal()
        # channel j explains sum_i cov_ij^2 / var_j of the others
        gain = covariance.square().sum(0) / variance.clamp(min=1e-9)
        gain[variance < 1e-6] = -1
        gain[chosen] = -1
        best = int(gain.argmax())
        chosen.append(best)
        column = covariance[:, best].clone()
        covariance = covariance - torch.outer(column, column) / column[best].clamp(min=1e-9)
    return torch.tensor(sorted(chosen))


def least_squares(x: Tensor, y: Tensor, ridge: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Weight `(K, D)` and bias `(K,)` with `y = x W^T + b` in the least-squares sense; x `(N, D)`, y `(N, K)`."""
    x, y = x.double(), y.double()
    mean_x, mean_y = x.mean(0), y.mean(0)
    covariance = (x - mean_x).T @ (x - mean_x)
    covariance += ridge * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    weight = torch.linalg.solve(covariance, (x - mean_x).T @ (y - mean_y)).T
    return weight.float(), (mean_y - weight @ mean_x).float()


@torch.inference_mode()
def prune(teacher: Convs, widths: Sequence[int], pictures: Tensor, *, positions: int = 200, seed: int = 0) -> Convs:
    """Shrink a VGG to `widths` channels per block, without gradients.

    Args:
        teacher: name -> (weight, bias), any number of layers from conv1_1 on.
        pictures: `(B, 3, H, W)` to sample features from.
        positions: samples per picture and layer.
    """
    random = torch.Generator().manual_seed(seed)
    color = dict(zip(("color.weight", "color.bias"), imagenet_color()))
    convs = [name for name in teacher if name.removeprefix("conv") in LAYERS]
    full = Encoder({**color, **flatten({name: teacher[name] for name in convs})}, convs)
    places: dict[str, list[Tensor]] = {name: [] for name in convs}
    samples: dict[str, list[Tensor]] = {name: [] for name in convs}
    for picture in pictures.split(1):
        for name, feature in full(picture).items():
            # the same positions for the student, layer by layer, later
            place = places[name]
            place.append(torch.randint(feature[0, 0].numel(), (positions,), generator=random))
            samples[name].append(feature.flatten(2)[0][:, place[-1]].T)  # (positions, C)

    student: Convs = {}
    inputs = [F.conv2d(picture, *imagenet_color()) for picture in pictures.split(1)]
    previous = "conv1"
    for name in convs:
        if name.split("_")[0] != previous:
            inputs, previous = [F.max_pool2d(x, 2) for x in inputs], name.split("_")[0]
        target = torch.cat(samples[name])  # (N, C) pre-activations
        chosen = select_channels(target.relu(), widths[int(name[4]) - 1])
        patches = torch.cat(
            [F.unfold(x, 3, padding=1)[0][:, place].T for x, place in zip(inputs, places[name])]
        )  # (N, 9 C_in)
        weight, bias = least_squares(patches, target[:, chosen])
        weight = weight.view(len(chosen), -1, 3, 3)
        student[name] = (weight, bias)
        inputs = [F.conv2d(x, weight, bias, padding=1).relu() for x in inputs]
        error = linear_error(torch.cat([x.flatten(2)[0][:, p].T for x, p in zip(inputs, places[name])]), target.relu())
        print(
            f"prune {name}: {teacher[name][0].shape[0]} -> {len(chosen)} channels, linear error {error:.3f}",
            flush=True,
        )
    return student


def linear_error(x: Tensor, y: Tensor) -> float:
    """How much of y no linear map of x explains: sum of squared residuals / sum of squares."""
    weight, bias = least_squares(x, y)
    return float((y - x @ weight.T - bias).square().sum() / y.square().sum())


def flatten(convs: Convs) -> dict[str, Tensor]:
    """name -> (weight, bias) as a flat state dict."""
    return {f"{name}.{part}": value for name, pair in convs.items() for part, value in zip(("weight", "bias"), pair)}


# ------------------------------------------------------------------------------------------------ 2. distil


class Student(nn.Module):
    """The network while it trains: like the encoder, with batch normalisation where nothing was pruned."""

    def __init__(self, pruned: Convs, widths: Sequence[int]) -> None:
        super().__init__()
        self.color = imagenet_color()
        self.convs: dict[str, nn.Conv2d] = {}
        self.norms: dict[str, nn.BatchNorm2d] = {}
        channels = 3
        for layer in LAYERS:
            width = widths[int(layer[0]) - 1]
            conv = nn.Conv2d(channels, width, 3, padding=1)
            if f"conv{layer}" in pruned:
                weight, bias = pruned[f"conv{layer}"]
                conv.weight, conv.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
            else:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
                self.norms[layer] = nn.BatchNorm2d(width)
            self.convs[layer] = conv
            channels = width
        # a plain dict is typed, but only modules that a list or an attribute holds are trained and saved
        self.conv_modules, self.norm_modules = nn.ModuleList(self.convs.values()), nn.ModuleList(self.norms.values())
        self.to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        x = F.conv2d(pictures, *self.color).contiguous(memory_format=torch.channels_last)
        features, block = {}, "1"
        for layer in LAYERS:
            if layer[0] != block:
                x, block = F.max_pool2d(x, 2), layer[0]
            x = self.convs[layer](x)
            if layer in self.norms:
                x = self.norms[layer](x)
            features[f"relu{layer}"] = x = F.relu(x)
        return features

    @torch.no_grad()
    def export(self) -> Convs:
        """The convolutions, batch normalisation folded in."""
        convs: Convs = {}
        for layer, conv in self.convs.items():
            assert conv.bias is not None
            weight, bias = conv.weight.detach().clone(), conv.bias.detach().clone()
            if layer in self.norms:
                # y = gamma (w x + b - mean) / sqrt(var + eps) + beta
                norm = self.norms[layer]
                assert norm.running_var is not None
                assert norm.running_mean is not None
                scale = norm.weight / (norm.running_var + norm.eps).sqrt()
                weight, bias = (
                    weight * scale[:, None, None, None],
                    (bias - norm.running_mean) * scale + norm.bias,
                )
            convs[f"conv{layer}"] = (weight.contiguous(), bias)
        return convs


class Painter(nn.Sequential):
    """A small decoder from relu4_1 to the picture: what the encoder has kept, it can paint."""

    def __init__(self, widths: Sequence[int]) -> None:
        modules: list[nn.Module] = []
        channels = widths[3]
        for width in (widths[2], widths[1], widths[0]):
            modules += [
                nn.Conv2d(channels, width, 3, padding=1, padding_mode="reflect"),
                nn.ReLU(),
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(width, width, 3, padding=1, padding_mode="reflect"),
                nn.ReLU(),
            ]
            channels = width
        super().__init__(*modules, nn.Conv2d(channels, 3, 3, padding=1, padding_mode="reflect"))
        self.to(memory_format=torch.channels_last)


def color_blocks(pictures: Tensor) -> Tensor:
    """Means over 8 x 8 blocks of luminance and the two chroma axes (YIQ), each divided by its usual spread."""
    # Y, I, Q of RGB; the spreads are those of natural pictures
    yiq = pictures.new_tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    spread = pictures.new_tensor([0.25, 0.10, 0.045])
    return F.avg_pool2d(F.conv2d(pictures, (yiq / spread[:, None])[:, :, None, None]), 8)


class Distillation(nn.Module):
    """Everything that is trained, and the loss."""

    def __init__(self, student: Student, teachers: Teachers, sample: Tensor) -> None:
        super().__init__()
        self.student = student
        self.teachers = teachers
        widths = [student.convs[f"{block}_1"].out_channels for block in range(1, 6)]
        # a frozen copy of what was pruned compares painted pictures with real ones
        self.critic = Encoder(
            {**dict(zip(("color.weight", "color.bias"), student.color)), **flatten(student.export())},
            ("relu1_1", "relu2_1", "relu3_1"),
        )
        self.painter = Painter(widths)
        self.heads, self.colors = nn.ModuleDict(), nn.ModuleDict()
        with torch.no_grad():
            features = student(sample)
        for layer, target in teachers(sample).items():
            self.heads[layer] = head = nn.Conv2d(widths[int(layer[4]) - 1], target.shape[1], 1)
            mean, std = target.mean((0, 2, 3), keepdim=True), target.std((0, 2, 3), keepdim=True) + 1e-3
            self.register_buffer(f"mean_{layer}", mean)
            self.register_buffer(f"std_{layer}", std)
            if layer.removeprefix("relu") not in student.norms:
                # what was pruned has its features already: the best head for them is known
                x, y = (z.movedim(1, -1).flatten(0, 2)[::7] for z in (features[layer], (target - mean) / std))
                weight, bias = least_squares(x, y)
                head.weight.data, head.bias = weight[:, :, None, None], nn.Parameter(bias)
        for layer in ("relu3_4", "relu4_1"):
            self.colors[layer] = nn.Conv2d(widths[int(layer[4]) - 1], 3, 1)
        for layer, feature in self.critic(sample).items():
            self.register_buffer(f"energy_{layer}", feature.var((0, 2, 3), keepdim=True) + 1e-6)

    def forward(self, pictures: Tensor, *, all_layers: bool) -> dict[str, Tensor]:
        """Terms of the loss, each 1 for a network that has learnt nothing and 0 for a perfect one.

        Without `all_layers`, what was pruned is frozen, and its teacher isn't asked.
        """
        for layer, conv in self.student.convs.items():
            conv.requires_grad_(all_layers or layer in self.student.norms)
        features = self.student(pictures)
        terms = {}
        for layer, target in self.teachers(pictures, only_missing=not all_layers).items():
            # neighbouring positions of blocks 1 and 2 say nearly the same: every fourth and every second will do
            step = {"1": 4, "2": 2}.get(layer[4], 1)
            target = target[..., ::step, ::step]
            target = (target - getattr(self, f"mean_{layer}")) / getattr(self, f"std_{layer}")
            terms[layer] = (self.heads[layer](features[layer][..., ::step, ::step]) - target).square().mean()
        blocks = color_blocks(pictures)
        blocks = blocks - blocks.mean((0, 2, 3), keepdim=True)
        for layer, head in self.colors.items():
            colors = head(features[layer])
            terms[f"color_{layer}"] = (
                (F.avg_pool2d(colors, colors.shape[2] // blocks.shape[2]) - blocks).square().mean()
            )
        painted = self.painter(features["relu4_1"])
        terms["pixels"] = (painted - pictures).square().mean() / 0.06  # the variance of natural pictures
        with torch.no_grad():
            real = self.critic(pictures)
        for layer, feature in self.critic(painted).items():
            energy = getattr(self, f"energy_{layer}")
            terms[f"paint_{layer}"] = ((feature - real[layer]).square() / energy).mean()
        return terms


def distil(
    student: Student,
    teachers: Teachers,
    train: Sequence[Tensor],
    *,
    steps: int,
    tune_steps: int,
    batch: int,
    size: int,
    learning_rate: float,
    checkpoint: Path,
    seed: int = 0,
    save_every: int = 100,
    stop_after: int | None = None,
) -> Distillation:
    """Train the new layers for `steps` steps, then all layers for `tune_steps`; resumes from `checkpoint` if it is there."""
    random = torch.Generator().manual_seed(seed)
    task = Distillation(student, teachers, random_crops(train, 32, size, random))
    pruned = [p for layer, conv in student.convs.items() if layer not in student.norms for p in conv.parameters()]
    fresh = [p for p in task.parameters() if p.requires_grad and not any(p is q for q in pruned)]
    # what was pruned is nearly right already, and moves slowly
    optimizer = torch.optim.Adam([{"params": fresh, "lr": learning_rate}, {"params": pruned, "lr": learning_rate / 10}])
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / 100, 0.5 * (1 + math.cos(math.pi * min(step / (steps + tune_steps), 1))) + 0.01),
    )
    step = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        task.load_state_dict(saved["task"], strict=False)  # the teachers are not in it
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        random.set_state(saved["random"])
        step = saved["step"]
        print(f"continuing at step {step}", flush=True)
    begun, since = time.time(), step
    averages: dict[str, float] = {}
    last = steps + tune_steps
    while step < min(last, last if stop_after is None else stop_after):
        task.train()
        terms = task(random_crops(train, batch, size, random), all_layers=step >= steps)
        heads = torch.stack([terms[layer] for layer in task.heads if layer in terms])
        paint = torch.stack([term for name, term in terms.items() if name.startswith("paint_")])
        colors = torch.stack([term for name, term in terms.items() if name.startswith("color_")])
        loss = heads.mean() + colors.mean() + terms["pixels"] + paint.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(task.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        step += 1
        for name, term in terms.items():
            averages[name] = 0.98 * averages.get(name, term.item()) + 0.02 * term.item()
        if step % 50 == 0:
            pace = (time.time() - begun) / (step - since)
            text = "  ".join(f"{name} {value:.3f}" for name, value in averages.items())
            print(f"step {step}/{last}  {pace:.2f} s/step  {text}", flush=True)
        if step % save_every == 0 or step == last:
            state = {
                "task": {key: value for key, value in task.state_dict().items() if not key.startswith("teachers.")},
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "random": random.get_state(),
                "step": step,
            }
            torch.save(state, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)
    return task


# ------------------------------------------------------------------------------------------------ 3. scale


RARE = 3.0
"""How many times its mean a channel's root mean square may be; see `scale`."""


@torch.inference_mode()
def scale(convs: Convs, pictures: Tensor) -> Convs:
    """Give every channel a mean activation of 1 over `pictures`; the network computes the same up to these factors.

    A channel that fires rarely has a small mean and large peaks. Brought to a mean of 1, it would outweigh all others in
    a Gram matrix, so it is brought to a root mean square of 3 instead.
    """
    color = dict(zip(("color.weight", "color.bias"), imagenet_color(), strict=True))
    encoder = Encoder({**color, **flatten(convs)}, [name.replace("conv", "relu") for name in convs])
    means = {layer: torch.zeros(channels) for layer, channels in encoder.channels.items()}
    squares = {layer: torch.zeros(channels) for layer, channels in encoder.channels.items()}
    for picture in pictures.split(1):
        for layer, feature in encoder(picture).items():
            means[layer] += feature.mean((0, 2, 3)) / len(pictures)
            squares[layer] += feature.square().mean((0, 2, 3)) / len(pictures)
    scaled: Convs = {}
    before = torch.ones(3)
    for name, (weight, bias) in convs.items():
        layer = name.replace("conv", "relu")
        after = torch.maximum(means[layer], squares[layer].sqrt() / RARE).clamp(min=1e-4)
        scaled[name] = (weight * before[None, :, None, None] / after[:, None, None, None], bias / after)
        before = after
    return scaled


# ------------------------------------------------------------------------------------------------ report


@torch.inference_mode()
def report(encoder: Encoder, teachers: Teachers, fit: Tensor, test: Tensor, seed: int = 0) -> dict[str, float]:
    """Measure an encoder on pictures that were never trained on.

    Returns:
        `error_<layer>`: relative error of the linear reconstruction of the teacher's channels, |y - Wx - b|^2 / |y|^2;
        `centred_<layer>`: the same with |y - mean y|^2 below the line;
        `luminance_<layer>` and `chroma_<layer>`: R^2 of a linear map to the 8 x 8 block means of the colours;
        `dead_<layer>`: number of channels that are zero on all test pictures.
        The linear maps are fitted on `fit` and measured on `test`.
    """
    random = torch.Generator().manual_seed(seed)
    rows: dict[str, list[list[Tensor]]] = {}
    alive: dict[str, Tensor] = {}
    for which, pictures in enumerate((fit, test)):
        for picture in pictures.split(1):
            features = encoder(picture)
            pairs = {f"error_{layer}": (features[layer], target) for layer, target in teachers(picture).items()}
            blocks = color_blocks(picture)
            for layer in ("relu3_4", "relu4_1"):
                pooled = F.avg_pool2d(features[layer], 8 // encoder.stride[layer])
                pairs[f"luminance_{layer}"], pairs[f"chroma_{layer}"] = (
                    (pooled, blocks[:, :1]),
                    (pooled, blocks[:, 1:]),
                )
            for name, (x, y) in pairs.items():
                place = torch.randperm(x[0, 0].numel(), generator=random)[:200]
                rows.setdefault(name, [[], [], [], []])[2 * which].append(x.flatten(2)[0][:, place].T)
                rows[name][2 * which + 1].append(y.flatten(2)[0][:, place].T)
            if which == 1:
                for layer, feature in features.items():
                    found = (feature > 0).any(-1).any(-1)[0]
                    alive[layer] = found | alive.get(layer, found)
    numbers = {}
    for name, (x_fit, y_fit, x_test, y_test) in rows.items():
        weight, bias = least_squares(torch.cat(x_fit), torch.cat(y_fit))
        x, y = torch.cat(x_test), torch.cat(y_test)
        residual = (y - x @ weight.T - bias).square().sum()
        centred = float(residual / (y - y.mean(0)).square().sum())
        if name.startswith("error_"):
            numbers[name] = float(residual / y.square().sum())
            numbers[name.replace("error_", "centred_")] = centred
        else:
            numbers[name] = 1 - centred
    return numbers | {f"dead_{layer}": float((~found).sum()) for layer, found in alive.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m nstlib.distill", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, help="flat folders of pictures")
    parser.add_argument("--held-out", type=int, default=100, help="pictures of each folder kept for measuring")
    parser.add_argument("--vgg19", default="vgg19", help="the teacher: a file, or torchvision's (default)")
    parser.add_argument("--squeezenet", help="a file of SqueezeNet 1.0, for the layers that the VGG19 file lacks")
    parser.add_argument("--widths", type=int, nargs=5, default=WIDTHS, help="channels of blocks 1 to 5")
    parser.add_argument("--steps", type=int, default=4000, help="steps for the layers that VGG19 can't teach")
    parser.add_argument("--tune-steps", type=int, default=1000, help="steps for all layers together")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=128, help="side of the crops in pixels")
    parser.add_argument("--samples", type=int, default=200, help="crops to prune, scale and measure on")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--out", type=Path, required=True, help="where the weights go, and the model card beside them")
    options = parser.parse_args(arguments)

    teachers = Teachers(options.vgg19, options.squeezenet)
    train, test = load_folders(options.pictures, options.held_out)
    print(f"{len(train)} pictures to train on, {len(test)} held out", flush=True)
    random = torch.Generator().manual_seed(1)
    sample = random_crops(train, options.samples, 160, random)
    pruned = scale(prune(teachers.convs, options.widths, sample), sample)
    student = Student(pruned, options.widths)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    distil(
        student,
        teachers,
        train,
        steps=options.steps if teachers.missing else 0,
        tune_steps=options.tune_steps,
        batch=options.batch,
        size=options.size,
        learning_rate=options.learning_rate,
        checkpoint=options.out.with_suffix(".checkpoint.pt"),
    )
    convs = scale(student.eval().export(), random_crops(train, options.samples, 256, random))
    tensors = {key: value.half().contiguous() for key, value in flatten(convs).items()}
    tensors |= dict(zip(("color.weight", "color.bias"), imagenet_color(), strict=True))
    metadata = {"format_version": str(FORMAT), "license": "CC BY 4.0 (derived from VGG19)"}
    temporary = options.out.with_suffix(".tmp")
    save_file(tensors, temporary, metadata=metadata)
    temporary.replace(options.out)

    encoder = Encoder(options.out, [f"relu{layer}" for layer in LAYERS])
    fit, unseen = (random_crops(pictures, options.samples, 256, random) for pictures in (train, test))
    numbers = report(encoder, teachers, fit, unseen)
    steps = f"{options.steps if teachers.missing else 0} steps for the new layers, {options.tune_steps} for all"
    options.out.with_suffix(".md").write_text(model_card(options.out, numbers, teachers, len(train), len(test), steps))
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB, and the model card beside it")


def model_card(path: Path, numbers: Mapping[str, float], teachers: Teachers, train: int, test: int, steps: str) -> str:
    """The model card, as Markdown."""
    rows = [
        f"| {layer} | {teacher_of(layer, teachers)} | {numbers[f'error_{layer}']:.3f} | {numbers[f'centred_{layer}']:.3f} "
        f"| {numbers[f'dead_{layer}']:.0f} |"
        for layer in (f"relu{layer}" for layer in LAYERS)
    ]
    second = ", and SqueezeNet 1.0 (Iandola et al. 2016) for the layers named below" if teachers.missing else ""
    return f"""# {path.stem}

VGG19's layers conv1_1 to conv5_1 at about a quarter of its widths: {path.stat().st_size / 1e6:.2f} MB in half precision.
For features and losses of neural style transfer; not a classifier.

- **Made by** `python -m nstlib.distill`: channels selected and solved for by least squares, then distilled ({steps}).
- **Teachers**: VGG19 (Simonyan & Zisserman 2015){second}.
- **Data**: {train} photographs and paintings, {test} more held out. None of them is part of this package.
- **Scale**: the mean activation of every channel over natural pictures is 1; channels that fire rarely have a root mean
  square of 3 instead.
- **Licence**: CC BY 4.0, as VGG19's weights, from which it is derived.

Measured on the held-out pictures, linear maps fitted on others. Error: |y - Wx - b|^2 / |y|^2 for all channels y of the
teacher and x of this network; centred: |y - mean y|^2 below the line; dead: channels that are never above zero.

| layer | teacher | error | centred | dead |
|---|---|---|---|---|
{chr(10).join(rows)}

R^2 of a linear map to the 8 x 8 block means of the picture:

| layer | luminance | chroma |
|---|---|---|
| relu3_4 | {numbers["luminance_relu3_4"]:.2f} | {numbers["chroma_relu3_4"]:.2f} |
| relu4_1 | {numbers["luminance_relu4_1"]:.2f} | {numbers["chroma_relu4_1"]:.2f} |
"""


def teacher_of(layer: str, teachers: Teachers) -> str:
    return f"SqueezeNet {FIRES[layer]}" if layer in teachers.missing else f"VGG19 {layer}"


if __name__ == "__main__":
    main()
