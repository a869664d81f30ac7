"""What a reader has before pasting a repr: the package's star."""

from typing import Any


def pasted() -> dict[str, Any]:
    """The names that `from scaling_models import *` brings."""
    names: dict[str, Any] = {}
    exec("from scaling_models import *", names)
    return names
