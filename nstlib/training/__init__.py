"""Training: the loop that all trained methods share.

A method provides an objective, which holds the network and turns a batch of pictures into the named terms of a loss. The
loop provides the pictures, minimises the sum of the terms with Adam, and writes everything that matters to disk:

    out_dir/weights.safetensors    the network in half precision (its moving average, if there is one), ready for use
    out_dir/checkpoint-<step>.pt   everything needed to resume, losses included; the last two are kept
    out_dir/losses.csv, .png       every term at every step, and the curves
    out_dir/samples-<step>.png     a sheet with photographs, paintings if there are any, and results

The pictures of step i, their crops and colours, and the random numbers of the objective are all functions of (seed, i). A
run that was stopped therefore resumes to exactly the same weights, and any number of processes loads the same batches.
"""

from nstlib.training.loop import TrainingResult, train
from nstlib.training.options import PRESETS, TrainingOptions

__all__ = ["PRESETS", "TrainingOptions", "TrainingResult", "train"]
