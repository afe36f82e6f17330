"""Training: the one loop that every trained method shares.

A method brings an objective, which holds the network and turns a batch of pictures into named terms of a loss. The loop
brings the pictures, minimises the sum of the terms with Adam, and keeps everything that matters on disk:

    out_dir/weights.safetensors    the network in half precision (its moving average, if there is one), for use
    out_dir/checkpoint-<step>.pt   all that is needed to go on, losses included; the last two are kept
    out_dir/losses.csv, .png       every term at every step, and its curves
    out_dir/samples-<step>.png     a sheet: photographs, paintings if there are any, results

Which pictures step i sees, how they are cropped and coloured, and what the objective itself draws at random are functions of
(seed, i). So a run that was stopped goes on to the very same weights, and any number of processes loads the same batches.
"""

from nstlib.training.loop import TrainingResult, train
from nstlib.training.options import PRESETS, TrainingOptions

__all__ = ["PRESETS", "TrainingOptions", "TrainingResult", "train"]
