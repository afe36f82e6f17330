"""Would the tests notice? One constant, sign or factor of the losses is changed at a time, and the tests of that file run.

    python tests/mutants.py             all of them
    python tests/mutants.py losses      those of one file

The exit status is the number of those that nobody noticed. Each runs in a fork of a process that has imported torch, against
a copy of the package, so the files here are never touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

TESTS = {
    "losses": ["test_losses.py", "test_opacity.py", "test_adain.py"],
    "utils/opacity": ["test_opacity.py", "test_gatys.py", "test_johnson.py", "test_perceptual.py"],
    "perceptual": ["test_perceptual.py"],
    "adain": ["test_adain.py", "test_opacity.py"],
    "sanet": ["test_sanet.py", "test_opacity.py"],
    "adaattn": ["test_adaattn.py", "test_opacity.py"],
    "decoder": ["test_decoder.py", "test_conditioned.py"],
    "arbitrary": ["test_adain.py", "test_conditioned.py", "test_opacity.py", "test_arbitrary.py"],
    "arbitrary_objective": ["test_arbitrary.py"],
    "utils/tiling": ["test_tiling.py"],
    "johnson": ["test_johnson.py"],
    "utils/checkpoints": ["test_johnson.py", "test_decoder.py", "test_checkpoints.py"],
    "gatys": ["test_gatys.py"],
    "pixels": ["test_gatys.py", "test_refine.py"],
    "utils/memory": ["test_memory.py"],
}

MUTANTS: dict[str, list[tuple[str, str]]] = {
    "losses": [
        ("return gram / features.shape[2:].numel()", "return gram / features.shape[1:].numel()"),
        ("return gram / features.shape[2:].numel()", "return gram"),
        ("(gradient + gradient.mT).to", "(gradient + gradient).to"),
        ("(gradient + gradient.mT).to", "gradient.to"),
        ("(f * m) @ f.mT / m.sum(2, keepdim=True).clamp(min=1e-8)", "(f * m) @ f.mT / m.shape[2]"),
        ("(f * m) @ f.mT", "(f * m) @ (f * m).mT"),
        ("m.sum(2, keepdim=True).clamp(min=1e-8)", "m.sum(2, keepdim=True)"),
        ("(count - 1).clamp(min=1)", "count.clamp(min=1)"),
        ("(count - 1).clamp(min=1)", "(count - 1)"),
        ("(count - 1).clamp(min=1)", "(count - 1).clamp(min=1e-8)"),
        ("opacity.to(f.dtype).flatten(2)", "opacity.to(f.dtype).flatten(2).ceil()"),
        ("return ((features - mean) / std)", "return (features - mean)"),
        ("@ lines.to(colors)).sort(1).values", "@ lines.to(colors))"),
        ("return (x - y).square().mean((1, 2))", "return (x - y).abs().mean((1, 2))"),
        ("dim=0)\n    with no_autocast(pictures)", "dim=1)\n    with no_autocast(pictures)"),
        ("(std * mean_variance_norm(content, opacity) + mean)", "(std * mean_variance_norm(content, opacity) - mean)"),
        ("(std * mean_variance_norm(content, opacity) + mean)", "(mean_variance_norm(content, opacity) + mean)"),
        ("(std * mean_variance_norm(content, opacity) + mean)", "(std * mean_variance_norm(content) + mean)"),
        ("(var + 1e-5).sqrt()", "(var + 1e-3).sqrt()"),
        ("(var + 1e-5).sqrt()", "(var + 1e-8).sqrt()"),
        ("loss = 0.5 * (", "loss = 1.0 * ("),
        ("_at_least_float32(target)).square().mean(0)", "_at_least_float32(target)).abs().mean(0)"),
        ("_at_least_float32(target)).square().mean(0)", "_at_least_float32(target)).square().sum(0)"),
        ('loss.sum() if reduction == "sum" else loss.mean()', "loss.mean()"),
        ("(gram - target).square().mean() / 4", "(gram - target).square().mean() / 2"),
        ("(gram - target).square().mean() / 4", "(gram - target).square().sum() / 4"),
        ("(gram - target).square().mean() / 4", "(gram + target).square().mean() / 4"),
        ('difference.square() if norm == "l2" else difference.abs()', "difference.square()"),
        ("difference.abs()).mean()", "difference.abs()).sum()"),
        ("x[..., :, 1:] - x[..., :, :-1])", "x[..., 1:, :] - x[..., :-1, :])"),
        ('target, reduction="mean").clamp(min=1e-12)', 'target, reduction="mean").clamp(min=1.0)'),
        ("loss = loss / content_loss(", "loss = loss * content_loss("),
        (".square().flatten(1).mean(1)", ".square().flatten(1).sum(1)"),
        (".square().flatten(1).mean(1)", ".abs().flatten(1).mean(1)"),
        ("(layers.values())).mean(), layers", "(layers.values())).sum(), layers"),
        ("gram[None]).clamp(min=1e-12)", "gram[None]).clamp(min=1.0)"),
        ("one = one / style_loss(", "one = one * style_loss("),
        ("loss = loss + share * one", "loss = loss + one"),
        ("loss = loss + share * one", "loss = loss - share * one"),
        ("weights[layer] * loss for layer", "loss for layer"),
        ("return shares / shares.sum()", "return shares"),
        ("(found - wanted).square().mean((1, 2, 3))", "(found - wanted).square().sum((1, 2, 3))"),
        ("(found - wanted).square().mean((1, 2, 3))", "(found - wanted).abs().mean((1, 2, 3))"),
        (
            "zip(moments(features[layer], (opacity or {}).get(layer)), ",
            "zip(moments(features[layer], (opacity or {}).get(layer))[:1], ",
        ),
    ],
    "perceptual": [
        ('"content": content_weight, "style"', '"content": 1.0, "style"'),
        ('"style": style_weight, "tv"', '"style": 1.0, "tv"'),
        ('"tv": tv_weight}', '"tv": 1.0}'),
        ("1 / max(1, len(style_layers))", "1.0"),
        ("mask is None or len(mask) < len(styles)", "mask is None"),
        ('"k,kij->ij", shares.to(gram)', '"k,kij->ij", torch.ones_like(shares).to(gram)'),
        ("shares = torch.ones_like(shares[:1])", "shares = shares[:1]"),
        ("gram_matrix(one, seen[layer])", "gram_matrix(one)"),
        ("sum_content(features, contents, normalize_losses=self.normalize_losses)", "sum_content(features, contents)"),
        ("                normalize_losses=self.normalize_losses,\n", ""),
        ("masks=masks,", "masks=None,"),
        ("total_variation(picture, norm=self.tv_norm)", "total_variation(picture)"),
        ("weight * terms[name] for", "terms[name] for"),
        ("    @torch.no_grad()\n    def read_content", "    def read_content"),
        ("    @torch.no_grad()\n    def read_styles", "    def read_styles"),
    ],
    "adain": [
        ('code["std"], opacity.get("relu4_1"))', 'code["std"])'),
        ('"content": 1.0, "style": 10.0', '"content": 1.0, "style": 1.0'),
        ('"content": 1.0, "style": 10.0', '"content": 2.0, "style": 10.0'),
        ('{"relu4_1": t["relu4_1"]}', '{"relu4_1": c["relu4_1"]}'),
        ('layers = style_layers = ("relu1_1", "relu2_1"', 'layers = style_layers = ("relu2_1", "relu2_1"'),
        ("self.style_distance(painted, s)", "self.style_distance(painted, c)"),
        ("squared_error(self.paint(c, c), content)", "squared_error(self.paint(c, s), content)"),
    ],
    "sanet": [
        ('"style": 3.0', '"style": 1.0'),
        ('"identity1": 50.0', '"identity1": 1.0'),
        ('"identity2": 1.0', '"identity2": 2.0'),
        ('"content": 1.0,', '"content": 2.0,'),
        ("mean_variance_norm(features[layer]) for", "features[layer] for"),
        ("return content + self.out_conv(", "return content - self.out_conv("),
        ("content) + squared_error(ss, style)", "content) - squared_error(ss, style)"),
        ("c[layer]) + squared_error(f_ss[layer]", "c[layer]) - squared_error(f_ss[layer]"),
        ("((c, s), (c, c), (s, s))", "((c, s), (c, s), (s, s))"),
        ("self.style_distance(f_cs, s)", "self.style_distance(f_cs, c)"),
        ("self.g(mean_variance_norm(style))", "self.g(style)"),
        ("self.f(mean_variance_norm(content, opacity))", "self.f(content)"),
        ("self.f(mean_variance_norm(content, opacity))", "self.f(mean_variance_norm(content))"),
    ],
    "adaattn": [
        ('"global": 10.0', '"global": 1.0'),
        ('"local": 3.0', '"local": 1.0'),
        ("(std * mean_variance_norm(content, opacity) + mean)", "(std * mean_variance_norm(content, opacity) - mean)"),
        ("(std * mean_variance_norm(content, opacity) + mean)", "(mean_variance_norm(content, opacity) + mean)"),
        ("(std * mean_variance_norm(content, opacity) + mean)", "(std * content + mean)"),
        ("(std * mean_variance_norm(content, opacity) + mean)", "(std * mean_variance_norm(content) + mean)"),
        ("style_layers = LAYERS[1:]", "style_layers = LAYERS"),
        ("LAYERS[: LAYERS.index(level) + 1]", "LAYERS[: LAYERS.index(level)] or LAYERS[:1]"),
        ('mean_variance_norm(maps[f"{level}/{layer}"], opacity) for', 'maps[f"{level}/{layer}"] for'),
        (
            'mean_variance_norm(maps[f"{level}/{layer}"], opacity) for',
            'mean_variance_norm(maps[f"{level}/{layer}"]) for',
        ),
        ("self.style_distance(painted, s)", "self.style_distance(painted, c)"),
        ("parameter_free_adaattn(c, s, layer, opacity", "parameter_free_adaattn(c, c, layer, opacity"),
    ],
    "decoder": [
        ("torch.addcmul(x, x, scale).add_(shift)", "torch.mul(x, scale).add_(shift)"),
        ("torch.addcmul(x, x, scale).add_(shift)", "torch.addcmul(x, x, scale).sub_(shift)"),
        ("return x + self.conv2(", "return self.conv2("),
        ("self.components).clamp(-3, 3)", "self.components)"),
        ('(features["condition"] - self.center)', 'features["condition"]'),
        ("/ self.spread)", ")"),
        ("DECODER_REACH_PX + 16 * blocks", "DECODER_REACH_PX"),
        ("        self.reads = STAGES\n", ""),
        ("nn.init.zeros_(self.conv2.weight)", "pass"),
        ("own[key].zero_()", "pass"),
        ('mode="bilinear"', 'mode="nearest"'),
        ('convs["conv1_1"].weight.mul_(0.1)', "pass"),
    ],
    "arbitrary": [
        ("share * shares, (1 - share)", "shares, (1 - share)"),
        ("share * shares, (1 - share)", "share * shares, (share - 1)"),
        ("self.encode_features(select_opaque(maps, opacity)))", "self.encode_features(maps))"),
        ("torch.stack(torch.broadcast_tensors(*weighted)).sum(0)", "torch.stack(weighted).sum(0)"),
        ("torch.stack(torch.broadcast_tensors(*weighted)).sum(0)", "weighted[0]"),
        ("tile, self.decoder.reach, self.stride", "tile, 8, self.stride"),
        ("self.encoder.reach(self.layers)", "8"),
        ('code[f"{layer}/std"], opacity[layer])', 'code[f"{layer}/std"])'),
        ("{**(there if same else own), **begun}", "{**own, **begun}"),
        ("if layer not in self.skips)", ")"),
        ("self.decoder.reads if strength < 1 else self.restyled", "self.decoder.reads"),
        ("        check_encoder(model.encoder, checkpoint)\n", ""),
        ("        check_encoder(self.encoder, checkpoint)\n", ""),
        ("if (found := len(next(iter(code.values())))) not in (1, batch):", "if False:"),
        ("alpha.to(shares) if isinstance(alpha, Tensor) else strength", "strength"),
        ("share * content.to(painted)", "content.to(painted)"),
        ("split_opacity(content)[0], self._decode(own", "content[:, :3], self._decode(own"),
    ],
    "arbitrary_objective": [
        ("1 / (1 + self.balance * moments", "1 / (1 - self.balance * moments"),
        ("(share * term).mean()", "term.mean()"),
        ("self.weight[name] * (share", "(share"),
    ],
    "utils/opacity": [
        ("premultiplied, seen = [colors * opacity]", "premultiplied, seen = [colors]"),
        ("color + (1 - share) * F", "color + F"),
        ("seen.max().clamp(max=0.5)", "0.5"),
        ("seen.max().clamp(max=0.5)", "0.1"),
        ("torch.where(opacity == 1, colors, filled", "torch.where(opacity > 0, colors, filled"),
    ],
    "utils/tiling": [
        ("-(-reach // stride) * stride", "reach // stride * stride"),
        ("max(start - reach, 0)", "start"),
        ("start + tile + reach", "start + tile"),
        ("int(tile) // stride * stride", "int(tile)"),
        ("or any(side % stride for side in size)", ""),
        ("if one.shape[2:] == (1, 1)", "if False"),
        ("period - position).clamp(max=side - 1)", "period - position - 1).clamp(max=side - 1)"),
    ],
    "johnson": [
        ("            content_weight=content_weight,\n", ""),
        ("            style_weight=style_weight,\n", ""),
        ("            tv_weight=tv_weight,\n", ""),
        ("style_weight: float = 2.0", "style_weight: float = 1.0"),
        ("content_weight: float = 1.0", "content_weight: float = 2.0"),
        ("tv_weight: float = 1.0", "tv_weight: float = 2.0"),
        ("self.raster_weight * raster(painted)", "raster(painted)"),
        ("self.edge_weight * (painted - wide)", "(painted - wide)"),
        ("edge[EDGE:-EDGE, EDGE:-EDGE] = False", "edge[EDGE:, EDGE:] = False"),
        ("(var + norm.eps).rsqrt()", "(var + 1e-2).rsqrt()"),
        ("norm.bias[:, None, None] - mean * scale", "norm.bias[:, None, None] + mean * scale"),
        ("seen.sum().clamp(min=1e-6)", "(seen.sum() - 1)"),
        ("(x.to(wide) * seen).sum((2, 3), keepdim=True)", "x.to(wide).sum((2, 3), keepdim=True)"),
        ("(band.to(wide) - mean).square() * w)", "(band.to(wide) - mean).square())"),
        ("x.new_tensor(x.shape[2] * x.shape[3], dtype=wide)", "x.new_tensor(x.shape[2] * x.shape[3] - 1, dtype=wide)"),
        ("picture.lerp(painted.to(picture), alpha)", "painted.to(picture).lerp(picture, alpha)"),
    ],
    "utils/checkpoints": [
        ('"out.weight": 1 / 255', '"out.weight": 1.0'),
        ('"conv1.weight": 255.0', '"conv1.weight": 1.0'),
        ("int(number) for number in", "number for number in"),
        ("rtol=1e-2, atol=1e-4", "rtol=1e3, atol=1e3"),
        ('if "modulation.weight" in state', "if False"),
    ],
    "gatys": [
        ("            content_weight=content_weight,\n", ""),
        ("            style_weight=style_weight,\n", ""),
        ("            tv_weight=tv_weight,\n", ""),
        ("            tv_norm=tv_norm,\n", ""),
        ("            normalize_losses=normalize_losses,\n", ""),
        ("weights.get(layer, 0.0) / total", "weights.get(layer, 0.0)"),
        ("style_weight: float = 20.0", "style_weight: float = 2.0"),
        ("normalize_losses: bool = True", "normalize_losses: bool = False"),
        ("FLOAT32_TAIL = 0.1", "FLOAT32_TAIL = 0.3"),
        ("least = math.inf  # losses in half", "pass  # losses in half"),
        ('generator=random, device="cpu")', "generator=random)"),
        ("for one, init in zip(content.split(1), inits)", "for one, init in zip([content], inits)"),
        ("yield from repeat(None, count - k)", "pass"),
        ("self.opacity if self.mask is None else self.opacity * self.mask", "self.mask"),
    ],
    "pixels": [
        ('total = terms["total"] * x[0].numel()', 'total = terms["total"]'),
        ("MAX_PIXEL_STEP = 0.5", "MAX_PIXEL_STEP = 50.0"),
        ("(f / 0.1) ** -preconditioner", "(f / 0.1) ** preconditioner"),
        ("(f / 0.1) ** -preconditioner", "(f / 0.2) ** -preconditioner"),
        (".clamp(min=1 / max(height, width))", ".clamp(min=1 / min(height, width))"),
        ('if losses["total"] < least:', 'if losses["total"] > least:'),
    ],
    "utils/memory": [
        ("(free / need) ** 0.5 - 0.5) / 8)", "(free / need) ** 0.5 + 8) / 8)"),
        ("(free / need) ** 0.5", "(free / need)"),
        ("* width * len(picture) * height * side", "* len(picture) * height * side"),
        ("* width * len(picture) * height * side", "* width * height * side"),
        ('limit - used + int(kept["inactive_file"])', "limit - used"),
        ("return min(found)", "return max(found)"),
        ("error.__traceback__ = None", "pass"),
    ],
}
"""File -> what is written there once, and what takes its place."""


def survives(module: str, old: str, new: str) -> bool:
    """Whether all tests of the module pass with this change."""
    source = (ROOT / "nstlib" / f"{module}.py").read_text()
    assert source.count(old) == 1, f"{module}.py holds {old!r} {source.count(old)} times, and once is needed"
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(ROOT / "nstlib", copy / "nstlib", ignore=shutil.ignore_patterns("__pycache__", "weights"))
        (copy / "nstlib" / "weights").symlink_to(ROOT / "nstlib" / "weights")
        shutil.copytree(ROOT / "tests", copy / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        (copy / "nstlib" / f"{module}.py").write_text(source.replace(old, new))
        child = os.fork()
        if child:
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        status = 99
        try:
            os.chdir(copy)
            sys.path.insert(0, str(copy))
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            import pytest

            files = [f"nstlib/{module}.py", *(f"tests/{name}" for name in TESTS[module])]  # doctests too
            status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *files])
            import nstlib

            assert Path(nstlib.__file__).is_relative_to(copy)
        except BaseException:
            status = 99
        finally:
            os._exit(status)


def main(names: list[str]) -> int:
    import hypothesis
    import PIL.Image
    import pytest
    import torch
    import torchvision  # noqa: F401  imported once, for all forks

    torch.set_num_threads(1)
    assert hypothesis
    assert PIL.Image
    assert pytest
    alive = killed = 0
    for module in names or MUTANTS:
        first = MUTANTS[module][0][0]
        if not survives(module, first, first):
            raise SystemExit(f"the tests of {module} fail without any change: mend them first")
        for old, new in MUTANTS[module]:
            lives = survives(module, old, new)
            alive, killed = alive + lives, killed + (not lives)
            print(f"{'ALIVE ' if lives else 'killed'}  {module}: {old}  ->  {new}", flush=True)
    print(f"{killed} of {killed + alive} mutants killed")
    return alive


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        raise SystemExit(main(sys.argv[1:]))
