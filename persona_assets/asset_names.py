"""Names of assets, as users write them, and their keys in Dagster.

A variant of a task is `task@variant`, everywhere but in Dagster, which refuses the sign in names
and shows the key `task/variant`.
"""

import re

import dagster as dg

from persona_assets.ids import VARIANT


def asset_key(name: str) -> dg.AssetKey:
    """Return Dagster's key of an asset.

    Example:
        >>> asset_key("game_npcs@jiudu").to_user_string()
        'game_npcs/jiudu'
    """
    return dg.AssetKey(name.split(VARIANT))


def selection(written: str) -> str:
    """Return an asset selection in Dagster's syntax, where a variant has a quoted key.

    Example:
        >>> selection("+key:game_npcs@jiudu or key:tools")
        '+key:"game_npcs/jiudu" or key:tools'
    """
    return re.sub(rf"\"?(\w+){VARIANT}(\w+)\"?", r'"\1/\2"', written)


def argument(name: str) -> str:
    """Return the argument of an asset's function for a table.

    Example:
        >>> argument("game_npcs@jiudu")
        'game_npcs__jiudu'
    """
    return name.replace(VARIANT, "__")


def asset_name(key: dg.AssetKey) -> str:
    """Return the name of an asset.

    Example:
        >>> asset_name(asset_key("unique_game_npcs@jiudu"))
        'unique_game_npcs@jiudu'
    """
    return VARIANT.join(key.path)
