"""Optimizers, and schedules of the learning rate."""

from __future__ import annotations

from minillm.optim import lr_scheduler
from minillm.optim.adafactor import Adafactor
from minillm.optim.adagrad import Adagrad
from minillm.optim.adam import Adam, AdamW
from minillm.optim.muon import Muon
from minillm.optim.nadam import NAdam
from minillm.optim.optimizer import Optimizer
from minillm.optim.radam import RAdam
from minillm.optim.rmsprop import RMSprop
from minillm.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "lr_scheduler",
]
