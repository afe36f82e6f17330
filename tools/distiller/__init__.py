"""Making `vgg19_mini`: VGG19 at a quarter of its widths, pruned first, then distilled.

    PYTHONPATH=tools python -m distiller --pictures photos/ paintings/ --out vgg19_mini.safetensors
    PYTHONPATH=tools python -m distiller --pictures photos/ paintings/ --vgg19 vgg19_to_relu3_4.safetensors \\
        --squeezenet squeezenet1_0.safetensors --out vgg19_mini.safetensors

The first form takes the whole of VGG19 as the teacher. The second serves where only its first blocks are at hand: the
blocks that VGG19 can't teach learn from SqueezeNet 1.0, whose fire5..fire8 sit at the stride of block 4 and fire9 at
that of block 5.

1. **Prune.** Layer by layer: choose the teacher's channels that best span all of them linearly, then solve a
   least-squares problem from the student's own input patches to the teacher's pre-activations of those channels.
2. **Distil.** All layers are trained together with RAdam, an Adam whose first steps are small. 1x1 convolutions (the heads)
   predict the teacher's channels from the student's; others predict block means of the colours from relu3_4 and relu4_1;
   and a small decoder paints the picture from relu4_1, as the methods' decoders will have to. Layers that were not pruned
   also learn which pictures of a batch their teacher finds alike. While they train, they have batch normalisation, so that
   no unit dies; at the end it is folded into their convolutions. The learning rate falls whenever the loss on held-out
   pictures stops falling, and training ends after the third time.
3. **Scale.** A ReLU network computes the same when a channel is divided by s and the weights that read it are multiplied
   by s. So every channel is given a mean activation of 1 over natural pictures, as Gatys did with VGG19. (Channels that
   fire rarely are given a root mean square of 3 instead.)

The last `--held-out` pictures of each folder, by name, are never trained on. The first half of them tells when to stop;
the model card that is written beside the weights is measured on the other half. A run that was stopped continues from its
checkpoint.

Convolutions pad with the pixels at the border (replicate): measured against pictures that go on, the features of the
outermost 8 pixels are three times closer to the truth than with zeros in VGG19's relu3_4, and more so in shallower layers.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.distill import (
    LAYERS,
    PADDING,
    RARE,
    WIDTHS,
    Student,
    color_blocks,
    flatten,
    least_squares,
    prune,
    scale,
)
from nstlib.encoder import Encoder
from nstlib.losses import gram_matrix
from nstlib.utils.checks import check_int, check_number
from nstlib.utils.files import write_atomically
from nstlib.utils.image import load_image
from nstlib.weights import imagenet_color, load_file, load_network, save_file

PICTURE = 288
"""Pixels on the short side of the pictures that crops are taken from."""
FIRES = {"relu4_1": "fire5", "relu4_2": "fire6", "relu4_3": "fire7", "relu4_4": "fire8", "relu5_1": "fire9"}
"""What SqueezeNet teaches: student layer -> fire module of the same stride."""


def load_folders(
    folders: Sequence[Path], held_out: int, size: int = PICTURE
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """The pictures of flat folders as uint8 `(3, H, W)` with short side `size`: (to train on, to stop by, to measure on)."""
    train: list[Tensor] = []
    stop: list[Tensor] = []
    test: list[Tensor] = []
    for folder in folders:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
        if len(files) <= held_out:
            raise ValueError(f"{folder} holds {len(files)} pictures, and {held_out} of them are to be held out")
        for number, file in enumerate(files):
            picture = load_image(file, size=size)[0].mul(255).round().byte()
            left = len(files) - number  # the last ones are held out
            (train if left > held_out else stop if left > held_out // 2 else test).append(picture)
    return train, stop, test


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


class SqueezeNet(nn.Module):
    """SqueezeNet 1.0 as a teacher: pictures -> {"fire5": ..., "fire9": ...}.

    Its first convolution gets a padding of 3, so that its positions line up with VGG's, and all of them pad as the student.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        from torchvision.models import squeezenet1_0

        # on "meta", so that no random numbers are drawn for weights that are replaced at once
        with torch.device("meta"):
            network = squeezenet1_0()
        network.load_state_dict(state, assign=True)
        self.features = network.features[:13]
        self.features[0].padding = (3, 3)
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d) and module.padding != (0, 0):
                module.padding_mode = PADDING
                # the constructor derives this from padding and padding_mode, so it has to be derived again
                module._reversed_padding_repeated_twice = [side for side in module.padding for _ in range(2)]  # type: ignore[misc]
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
        self.vgg = Encoder(vgg, [name.replace("conv", "relu") for name in self.convs], padding=PADDING)
        self.missing = [f"relu{layer}" for layer in LAYERS if f"conv{layer}" not in self.convs]
        if self.missing and squeezenet is None:
            raise ValueError(f"{vgg} ends before {self.missing[0]}: name a SqueezeNet for the layers it can't teach")
        self.squeezenet = SqueezeNet(load_file(squeezenet)) if self.missing and squeezenet else None

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Student layer -> the features that it is to explain, `(B, C, H, W)`."""
        features: dict[str, Tensor] = self.vgg(pictures)
        if self.squeezenet is not None:
            fires = self.squeezenet(pictures)
            features |= {layer: fires[FIRES[layer]] for layer in self.missing}
        return features


class Painter(nn.Sequential):
    """A small decoder from relu4_1 to the picture: what the encoder has kept, it can paint."""

    def __init__(self, channels: int, widths: Sequence[int] = (96, 48, 16)) -> None:
        modules: list[nn.Module] = []
        for width in widths:
            modules += [
                nn.Conv2d(channels, width, 3, padding=1, padding_mode=PADDING),
                nn.ReLU(),
                nn.Upsample(scale_factor=2, mode="nearest"),
                nn.Conv2d(width, width, 3, padding=1, padding_mode=PADDING),
                nn.ReLU(),
            ]
            channels = width
        super().__init__(*modules, nn.Conv2d(channels, 3, 3, padding=1, padding_mode=PADDING))
        self.to(memory_format=torch.channels_last)


def activation(features: Tensor) -> Tensor:
    """The size of every channel over a batch, `(1, C, 1, 1)`: what `scale` would divide it by."""
    mean, square = features.mean((0, 2, 3), keepdim=True), features.square().mean((0, 2, 3), keepdim=True)
    return torch.maximum(mean, (square + 1e-12).sqrt() / RARE) + 1e-4


def relations(student: Tensor, teacher: Tensor) -> Tensor:
    """0 if the student finds the same pictures of a batch near and far as the teacher does, 1 if there is no relation.

    One minus the correlation of the logarithms of all distances of two pictures, by their Gram matrices and by their
    features; the mean of both. (Relational distillation, Park et al. 2019, https://arxiv.org/abs/1904.05068.)
    """
    pairs = torch.triu_indices(len(student), len(student), 1).unbind()
    found = []
    for describe in (gram_matrix, lambda features: features):
        logs = []
        for features in (student, teacher):
            described = describe(features).flatten(1)
            # log |f_i - f_j| of all pairs i < j
            distance = torch.cdist(described, described, compute_mode="use_mm_for_euclid_dist")
            logs.append((distance[pairs] + 1e-6).log())
        a, b = (log - log.mean() for log in logs)
        found.append(1 - (a * b).sum() / (a.norm() * b.norm() + 1e-9))
    return torch.stack(found).mean()


class Distillation(nn.Module):
    """Everything that is trained, and the loss."""

    def __init__(self, student: Student, teachers: Teachers, sample: Tensor) -> None:
        super().__init__()
        self.student, self.teachers = student, teachers
        # a frozen copy of the first version compares painted pictures with real ones
        self.critic = Encoder(flatten(student.export()), ("relu1_1", "relu2_1", "relu3_1"), padding=PADDING)
        self.painter = Painter(student.convs["4_1"].out_channels)
        self.heads, self.colors = nn.ModuleDict(), nn.ModuleDict()
        with torch.no_grad():
            features = student(sample)
        for layer, target in teachers(sample).items():
            channels = target.shape[1]
            self.heads[layer] = head = nn.Conv2d(features[layer].shape[1], channels, 1)
            mean, variance = target.mean((0, 2, 3), keepdim=True), target.var((0, 2, 3), keepdim=True)
            std = (variance + 1e-3 * variance.mean()).sqrt()
            # What the model card measures is |y - Wx - b|^2 / |y|^2. It counts channels by their energy, and colour has
            # little; so a third of the weight counts them alike.
            energy = (std.square() + mean.square()).sum()
            self.register_buffer(f"mean_{layer}", mean)
            self.register_buffer(f"std_{layer}", std)
            self.register_buffer(f"size_{layer}", activation(target))
            self.register_buffer(f"weight_{layer}", 2 / 3 * std.square() / energy + 1 / 3 / channels)
            if layer.removeprefix("relu") not in student.norms:
                # what was pruned has its features already: the best head for them is known
                x, y = (z.movedim(1, -1).flatten(0, 2)[::7] for z in (features[layer], (target - mean) / std))
                weight, bias = least_squares(x, y)
                head.weight.data, head.bias = weight[:, :, None, None], nn.Parameter(bias)
        for layer in ("relu3_4", "relu4_1"):
            self.colors[layer] = nn.Conv2d(features[layer].shape[1], 3, 1)
        for layer, feature in self.critic(sample).items():
            self.register_buffer(f"energy_{layer}", feature.var((0, 2, 3), keepdim=True) + 1e-6)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Terms of the loss, each about 1 for a network that has learnt nothing and 0 for a perfect one."""
        features = self.student(pictures)
        terms = {}
        for layer, target in self.teachers(pictures).items():
            # neighbouring positions of blocks 1 and 2 say nearly the same: every fourth and every second will do
            step = {"1": 4, "2": 2}.get(layer[4], 1)
            feature, target = features[layer][..., ::step, ::step], target[..., ::step, ::step]
            if layer.removeprefix("relu") in self.student.norms:
                # Pruned channels are copies of the teacher's, so their distances agree with the teacher's already. Those of
                # the other layers have to be learnt
                alike = relations(feature / activation(feature), target / getattr(self, f"size_{layer}"))
                terms[f"relations_{layer}"] = 0.3 * alike
            target = (target - getattr(self, f"mean_{layer}")) / getattr(self, f"std_{layer}")
            residual = self.heads[layer](feature) - target
            terms[layer] = (getattr(self, f"weight_{layer}") * residual.square()).sum(1).mean()
        blocks = color_blocks(pictures)
        blocks = blocks - blocks.mean((0, 2, 3), keepdim=True)
        for layer, head in self.colors.items():
            colors = head(features[layer])
            colors = F.avg_pool2d(colors, colors.shape[2] // blocks.shape[2])
            terms[f"color_{layer}"] = 0.3 * (colors - blocks).square().mean()
        painted = self.painter(features["relu4_1"])
        terms["pixels"] = (painted - pictures).square().mean() / 0.06  # the variance of natural pictures
        with torch.no_grad():
            real = self.critic(pictures)
        for layer, feature in self.critic(painted).items():
            energy = getattr(self, f"energy_{layer}")
            terms[f"paint_{layer}"] = ((feature - real[layer]).square() / energy).mean() / 3
        return terms


def distil(
    student: Student,
    teachers: Teachers,
    train: Sequence[Tensor],
    stop: Sequence[Tensor],
    *,
    max_steps: int,
    batch: int,
    size: int,
    learning_rate: float,
    checkpoint: Path,
    seed: int = 0,
    check_every: int = 100,
    patience: int = 2,
) -> int:
    """Train all layers until the loss on the pictures of `stop` is flat; resumes from `checkpoint` if it is there.

    Returns:
        the number of steps taken.
    """
    random = torch.Generator().manual_seed(seed)
    task = Distillation(student, teachers, random_crops(train, 32, size, random))
    pruned = [p for layer, conv in student.convs.items() if layer not in student.norms for p in conv.parameters()]
    fresh = [p for p in task.parameters() if p.requires_grad and not any(p is q for q in pruned)]
    # what was pruned is nearly right already, and moves slowly
    optimizer = torch.optim.RAdam(
        [{"params": fresh, "lr": learning_rate}, {"params": pruned, "lr": learning_rate / 3}], betas=(0.9, 0.99)
    )
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=patience, threshold=0.003)
    checks = random_crops(stop, 8 * batch, size, torch.Generator().manual_seed(seed)).split(batch)
    step = 0
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        task.load_state_dict(saved["task"], strict=False)  # the teachers are not in it
        optimizer.load_state_dict(saved["optimizer"])
        plateau.load_state_dict(saved["plateau"] | {"patience": patience})
        random.set_state(saved["random"])
        step = saved["step"]
        print(f"continuing at step {step}", flush=True)
    begun, since = time.time(), step
    while step < max_steps and optimizer.param_groups[0]["lr"] > 0.03 * learning_rate:
        task.train()
        loss = torch.stack(list(task(random_crops(train, batch, size, random)).values())).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(task.parameters(), 5.0)
        optimizer.step()
        step += 1
        if step % check_every == 0 or step == max_steps:
            terms, dead = held_out_terms(task, checks)
            plateau.step(sum(terms.values()))
            pace = (time.time() - begun) / (step - since)
            text = "  ".join(f"{name} {value:.3f}" for name, value in terms.items())
            rate = optimizer.param_groups[0]["lr"]
            print(
                f"step {step}  {pace:.2f} s/step  rate {rate:.1e}  held out {sum(terms.values()):.4f}  "
                f"dead {dead}  {text}",
                flush=True,
            )
            state = io.BytesIO()
            torch.save(
                {
                    "task": {key: value for key, value in task.state_dict().items() if not key.startswith("teachers.")},
                    "optimizer": optimizer.state_dict(),
                    "plateau": plateau.state_dict(),
                    "random": random.get_state(),
                    "step": step,
                },
                state,
            )
            write_atomically(checkpoint, state.getvalue())
    return step


@torch.no_grad()
def held_out_terms(task: Distillation, batches: Sequence[Tensor]) -> tuple[dict[str, float], int]:
    """Mean terms of the loss over batches, and how many channels of the student are zero on all of them."""
    task.eval()
    terms: dict[str, float] = {}
    alive: dict[str, Tensor] = {}
    for pictures in batches:
        for name, term in task(pictures).items():
            terms[name] = terms.get(name, 0.0) + term.item() / len(batches)
        for layer, feature in task.student(pictures).items():
            found = (feature > 0).flatten(2).any(2).any(0)
            alive[layer] = found | alive.get(layer, found)
    return terms, sum(int((~found).sum()) for found in alive.values())


@torch.inference_mode()
def report(encoder: Encoder, teachers: Teachers, fit: Tensor, test: Tensor, seed: int = 0) -> dict[str, float]:
    """Measure an encoder on pictures that were never trained on.

    Returns:
        `error_<layer>`: relative error of the linear reconstruction of the teacher's channels, |y - Wx - b|^2 / |y|^2;
        `centred_<layer>`: the same, divided by |y - mean y|^2;
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
    parser = argparse.ArgumentParser(prog="python -m distiller", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--pictures", type=Path, nargs="+", required=True, help="flat folders of pictures")
    parser.add_argument("--held-out", type=int, default=100, help="pictures of each folder kept for measuring")
    parser.add_argument("--vgg19", default="vgg19", help="the teacher: a file, or torchvision's (default)")
    parser.add_argument("--squeezenet", help="a file of SqueezeNet 1.0, for the layers that the VGG19 file lacks")
    parser.add_argument("--widths", type=int, nargs=len(LAYERS), default=WIDTHS, help="channels of conv1_1 to conv5_1")
    parser.add_argument("--from-scratch", action="store_true", help="random weights instead of pruned ones")
    parser.add_argument("--max-steps", type=int, default=20_000, help="end here even if the loss still falls")
    parser.add_argument(
        "--patience", type=int, default=2, help="checks without progress before the learning rate falls"
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=112, help="side of the crops in pixels")
    parser.add_argument("--samples", type=int, default=200, help="crops to prune, scale and measure on")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--out", type=Path, required=True, help="where the weights go, and the model card beside them")
    options = parser.parse_args(arguments)
    try:
        _make(options)
    except (FloatingPointError, MemoryError, OSError, ValueError) as error:
        raise SystemExit(f"distiller: {error}") from error


def _make(options: argparse.Namespace) -> None:
    """Check what was asked, prune, distil, scale, save and describe."""
    for name in ("max_steps", "patience", "batch", "samples"):
        check_int(f"--{name.replace('_', '-')}", getattr(options, name), 1)
    check_int("--held-out", options.held_out, 2)
    check_number("--learning-rate", options.learning_rate, 0, above=True)
    if options.size % 16 or not 32 <= options.size <= PICTURE:
        raise ValueError(f"--size must be a multiple of 16 from 32 to {PICTURE}, got {options.size}")
    if options.out.suffix != ".safetensors" or options.out.is_dir():
        raise ValueError(f"--out is a file that ends in .safetensors, got '{options.out}'")
    teachers = Teachers(options.vgg19, options.squeezenet)
    train, stop, test = load_folders(options.pictures, options.held_out)
    print(f"{len(train)} pictures to train on, {len(stop)} to stop by, {len(test)} to measure on", flush=True)
    random = torch.Generator().manual_seed(1)
    sample = random_crops(train, options.samples, 160, random)
    pruned = {} if options.from_scratch else scale(prune(teachers.convs, options.widths, sample), sample)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student = Student(pruned, options.widths)
        steps = distil(
            student,
            teachers,
            train,
            stop,
            max_steps=options.max_steps,
            batch=options.batch,
            size=options.size,
            learning_rate=options.learning_rate,
            checkpoint=options.out.with_suffix(".checkpoint.pt"),
            patience=options.patience,
        )
    convs = scale(student.eval().export(), random_crops(train, options.samples, 256, random))
    metadata = {"padding": PADDING, "steps": str(steps), "license": "CC BY 4.0 (derived from VGG19)"}
    save_file(options.out, flatten(convs), metadata)

    encoder = Encoder(options.out, [f"relu{layer}" for layer in LAYERS])
    fit, unseen = (random_crops(pictures, options.samples, 256, random) for pictures in (train, test))
    numbers = report(encoder, teachers, fit, unseen)
    card = model_card(options.out, numbers, teachers, len(train), len(stop), len(test), steps)
    write_atomically(options.out.with_suffix(".md"), card.encode())
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB, and the model card beside it")


def model_card(
    path: Path, numbers: Mapping[str, float], teachers: Teachers, train: int, stop: int, test: int, steps: int
) -> str:
    """The model card, as Markdown."""
    rows = [
        f"| {layer} | {teacher_of(layer, teachers)} | {numbers[f'error_{layer}']:.3f} | {numbers[f'centred_{layer}']:.3f} "
        f"| {numbers[f'dead_{layer}']:.0f} |"
        for layer in (f"relu{layer}" for layer in LAYERS)
    ]
    second = ", and SqueezeNet 1.0 (Iandola et al. 2016) for the layers named below" if teachers.missing else ""
    return f"""# {path.stem}

VGG19's layers conv1_1 to conv5_1 at about a quarter of its widths: {path.stat().st_size / 1e6:.2f} MB in half precision.
It gives features and losses for neural style transfer, and is not a classifier.

- **Made by** `python -m distiller`, which selects channels of VGG19, solves for their weights by least squares, and then
  trains (distils) the network until its loss on held-out pictures no longer falls. This took {steps:,} steps.
- **Teachers**: VGG19 (Simonyan & Zisserman 2015){second}.
- **Data**: {train} photographs and paintings to train on, {stop} more to decide when to stop, and {test} more for
  the numbers below. None of them is part of this package.
- **Scale**: the mean activation of every channel over natural pictures is 1. Channels that are rarely above zero are scaled
  to a root mean square of 3 instead.
- **Licence**: CC BY 4.0, as VGG19's weights, from which it is derived.

How well do linear maps of this network's channels x predict the teacher's channels y? The maps were fitted on pictures of
the training, and measured on pictures that were not trained on. The error is |y - Wx - b|^2 / |y|^2, and the centred error
is |y - Wx - b|^2 / |y - mean y|^2. Dead channels are never above zero.

| layer | teacher | error | centred | dead |
|---|---|---|---|---|
{chr(10).join(rows)}

The next table gives R^2 of a linear map from the features to the means of the picture over blocks of 8 x 8 pixels:

| layer | luminance | chroma |
|---|---|---|
| relu3_4 | {numbers["luminance_relu3_4"]:.2f} | {numbers["chroma_relu3_4"]:.2f} |
| relu4_1 | {numbers["luminance_relu4_1"]:.2f} | {numbers["chroma_relu4_1"]:.2f} |
"""


def teacher_of(layer: str, teachers: Teachers) -> str:
    return f"SqueezeNet {FIRES[layer]}" if layer in teachers.missing else f"VGG19 {layer}"
