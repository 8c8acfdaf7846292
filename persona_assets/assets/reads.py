"""What an asset reads besides its inputs, declared beside it and turned into its code version."""

from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from persona_assets.project import Project
from persona_assets.resources.io_manager import PROMPT_VERSIONS

READS = "persona_assets/reads"


def reads(
    version: str, *, prompts: Iterable[str] = (), settings: Iterable[str] = ()
) -> Mapping[str, Any]:
    """Metadata for `@dg.asset`: the step's VERSION, the prompts and the settings that it reads."""
    return {READS: {"step": version, "prompts": list(prompts), "settings": list(settings)}}


def versioned(asset: dg.AssetsDefinition, project: Project) -> dg.AssetsDefinition:
    """The asset with its code version and its prompts' versions, as they are in this project."""

    def version(spec: dg.AssetSpec) -> dg.AssetSpec:
        read = spec.metadata[READS]
        prompts = {name: project.prompt(name).version for name in read["prompts"]}
        return spec.replace_attributes(
            code_version=project.code_version(read["step"], read["prompts"], read["settings"]),
            metadata={**spec.metadata, PROMPT_VERSIONS: prompts},
        )

    return asset.map_asset_specs(version)
