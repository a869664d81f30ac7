"""Where the notebooks and the data lie: inside an installed wheel, or in the source tree beside the package."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
SHIPPED = PACKAGE / "_shipped"
TREE = PACKAGE.parent


def is_shipped() -> bool:
    """Whether this is an installed wheel, whose files belong to the installation and not to the reader."""
    return SHIPPED.is_dir()


def folder(name: str) -> Path:
    """The folder `notebooks` or `data`: the wheel's copy if there is one, else the one in the source tree.

    Raises FileNotFoundError, in a sentence, when the installation carries neither.
    """
    # A folder called data beside an installed package is somebody else's, hence the look for pyproject.toml.
    tree = [TREE / name] if (TREE / "pyproject.toml").is_file() else []
    for candidate in [SHIPPED / name, *tree]:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        f"scaling_models finds no folder {name!r}: it belongs in {SHIPPED} (an installed wheel) "
        f"or in {TREE} (a source tree with its pyproject.toml). Please install the package again."
    )
