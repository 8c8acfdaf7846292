"""Train as a file of arguments says, and print each step: `train_to_be_killed.py FILE.json`."""

import json
import sys
from pathlib import Path

from persona_assets.resources.trainer import Hyperparameters, Trainer
from persona_assets.training.job import Checkpointing
from persona_assets.training.launch import Launch

given = json.loads(Path(sys.argv[1]).read_text())
trainer = Trainer(
    given["base"],
    Path(given["cache"]),
    Hyperparameters.model_validate(given["hyper"]),
    Launch(tuple(given["command"])),
    checkpointing=Checkpointing.model_validate(given["checkpointing"]),
)
trainer.train(
    given["rows"], Path(given["folder"]), lambda point, steps: print(point["step"], flush=True)
)
