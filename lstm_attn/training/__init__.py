"""Training: optimiser, train state, the jitted loop, trials on a mesh, checkpoints."""

from lstm_attn.training import checkpoints, multihost
from lstm_attn.training.compilation_cache import compilation_cache_folder, use_compilation_cache
from lstm_attn.training.config import TrainingConfig
from lstm_attn.training.loop import Trained, run, train
from lstm_attn.training.mesh import Layout, choose_layout, lay_out, use_host_cores
from lstm_attn.training.program import (
    Program,
    make_program,
    quickly_compiled,
    step_of,
    trial_settings,
)
from lstm_attn.training.step_timing import step_seconds
from lstm_attn.training.train_step import TrialState
from lstm_attn.training.truncated_bptt import train_over_segments

__all__ = [
    "Layout",
    "Program",
    "Trained",
    "TrainingConfig",
    "TrialState",
    "checkpoints",
    "choose_layout",
    "compilation_cache_folder",
    "lay_out",
    "make_program",
    "multihost",
    "quickly_compiled",
    "run",
    "step_of",
    "step_seconds",
    "train",
    "train_over_segments",
    "trial_settings",
    "use_compilation_cache",
    "use_host_cores",
]
