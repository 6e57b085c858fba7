"""What ``fit`` calls while it trains; Keras' names, arguments and decisions."""

from __future__ import annotations

from minillm.keras.callbacks.callback import Callback, CallbackList, History, LambdaCallback, ProgbarLogger
from minillm.keras.callbacks.monitor import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from minillm.keras.callbacks.rate import CSVLogger, LearningRateScheduler, TerminateOnNaN

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
