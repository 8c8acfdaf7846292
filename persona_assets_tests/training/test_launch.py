"""A training is launched by accelerate where the settings ask for it, and never by DeepSpeed."""

import sys
from pathlib import Path

import pytest

from persona_assets.resources.trainer import Trainer
from persona_assets.settings import SettingsError, Training
from persona_assets.training.job import Hyperparameters
from persona_assets.training.launch import CONFIGS, Launch, LaunchError


def test_single_process_needs_no_launcher() -> None:
    assert Launch.of(None, None) == Launch.of(None, 1) == Launch((sys.executable, "-m"), 1, False)


def test_several_processes_have_a_copy_each_unless_a_configuration_shards() -> None:
    copies, shards = Launch.of(None, 4), Launch.of("fsdp2", None)
    assert (copies.processes, copies.is_sharded) == (4, False)
    assert (shards.processes, shards.is_sharded) == (8, True)
    assert copies.command[:3] == (sys.executable, "-m", "accelerate.commands.launch")
    assert str(CONFIGS / "ddp.yaml") in copies.command
    assert copies.command[-1] == "-m"


def test_shipped_configurations_are_read_by_accelerate() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    kinds = {
        file.stem: load_config_from_file(str(file)).distributed_type.value
        for file in CONFIGS.glob("*.yaml")
    }
    assert kinds == {"fsdp2": "FSDP", "ddp": "MULTI_GPU", "cpu": "MULTI_GPU"}


REFUSED = {
    "distributed_type: DEEPSPEED\nnum_processes: 8": "DeepSpeed is not supported.*fsdp2",
    "distributed_type: FSDP\nnum_processes: 8\nfsdp_config: {fsdp_version: 1}": "fsdp_version: 2",
    "distributed_type: FSDP\nnum_processes: 8": "fsdp_version: 2",
    "distributed_type: MULTI_GPU\nnum_processes: 8\nnum_machines: 2": "num_machines must be 1",
    "distributed_type: MEGATRON_LM\nnum_processes: 8": "MEGATRON_LM is none of",
    "distributed_type: MULTI_GPU": "PERSONA_TRAINING__PROCESSES",
    "num_processes: 8": "no distributed_type",
    "a: [": "no YAML file",
}


@pytest.mark.parametrize("text", REFUSED)
def test_configuration_that_cannot_be_used_is_refused_with_a_remedy(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "accelerate.yaml"
    file.write_text(text)
    with pytest.raises(LaunchError, match=REFUSED[text]):
        Launch.of(str(file), None)


def test_unknown_configuration_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    training = Training(base_model="m", hyper=Hyperparameters(), accelerate_config="fsdp3")
    with pytest.raises(SettingsError, match="'fsdp3' is no file and none of cpu, ddp, fsdp2"):
        Trainer.of(training, tmp_path)
