"""nstlib: neural style transfer, as a library and a book.

Pictures are tensors `(B, 3, H, W)`, RGB, float32, in [0, 1]. The public names, in the order of the book:

    samples                                         pictures that need no download
    load_image, save_image, to_pil, to_numpy        pictures in and out
    show, match_color                               pictures side by side, and their colours
    Encoder                                         pictures -> features                  chapter 1
    gram_matrix, moments, content_loss,             the losses                            chapter 2
    style_loss, total_variation
    Gatys                                           optimise the picture                  chapter 3
    Johnson                                         one network, one style                chapter 4
    AdaIN, SANet, AdaAttN                           one network, any style                chapters 5 to 7
    train                                           the loop that trains networks
    Objective, JohnsonObjective, AdaINObjective,    and what it minimises
    SANetObjective, AdaAttNObjective
    stylize                                         all methods in one call
    export                                          a network as an ONNX file, for browsers and phones
    metrics                                         how near to the photograph, how near to the painting
"""

# Methods register in the order of the book
# isort: off
from nstlib.gatys import Gatys
from nstlib.johnson import Johnson, JohnsonObjective
from nstlib.adain import AdaIN, AdaINObjective
from nstlib.sanet import SANet, SANetObjective
from nstlib.adaattn import AdaAttN, AdaAttNObjective

# isort: on
from nstlib import metrics, samples
from nstlib.encoder import Encoder
from nstlib.export import export
from nstlib.losses import content_loss, gram_matrix, moments, style_loss, total_variation
from nstlib.objective import Objective
from nstlib.stylize import stylize
from nstlib.training import train
from nstlib.utils.color import match_color
from nstlib.utils.image import load_image, save_image, to_numpy, to_pil
from nstlib.utils.show import show

__version__ = "0.1.0"

__all__ = [
    "AdaAttN",
    "AdaAttNObjective",
    "AdaIN",
    "AdaINObjective",
    "Encoder",
    "Gatys",
    "Johnson",
    "JohnsonObjective",
    "Objective",
    "SANet",
    "SANetObjective",
    "content_loss",
    "export",
    "gram_matrix",
    "load_image",
    "match_color",
    "metrics",
    "moments",
    "samples",
    "save_image",
    "show",
    "style_loss",
    "stylize",
    "to_numpy",
    "to_pil",
    "total_variation",
    "train",
]
