"""Train without end and print each optimizer step: `train_until_killed.py BASE_MODEL FOLDER`."""

import sys
from pathlib import Path

from persona_assets.resources.trainer import Hyperparameters, Trainer

base, folder = sys.argv[1], Path(sys.argv[2])
hyper = Hyperparameters(epochs=1e6, batch_size=1, gradient_accumulation=1, packing=False)
rows = [{"problem": "a", "solution": "b"}]
Trainer(base, folder, hyper).train(rows, folder, lambda point, steps: print(point, flush=True))
