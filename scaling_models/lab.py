"""The notebooks in JupyterLab, on this machine only."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from scaling_models import files

START = "start.ipynb"
COPY = Path("scaling_models_notebooks")


def copy_notebooks(target: Path) -> list[Path]:
    """Copy the shipped notebooks into `target` and return those kept because the reader has changed them.

    A file that is already there is never overwritten.
    """
    kept = []
    source = files.folder("notebooks")
    for path in sorted(source.rglob("*")):
        own = target / path.relative_to(source)
        if not path.is_file() or ".ipynb_checkpoints" in path.parts:
            continue
        if not own.exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, own)
        elif own.read_bytes() != path.read_bytes():
            kept.append(own)
    return kept


def notebooks(target: Path | None = None) -> Path:
    """The folder to work in: the source tree's own notebooks, or a copy where the reader said or under COPY."""
    if target is None and not files.is_shipped():
        return files.folder("notebooks")
    target = target or COPY
    for path in copy_notebooks(target):
        print(f"Kept your {path}: it differs from the one that came with the package.")
    return target.resolve()


def has_display() -> bool:
    """Whether a browser could show itself: always assumed but on systems that name their display."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def arguments(root: Path, port: int | None = None, browser: bool | None = None) -> list[str]:
    """JupyterLab's command line: loopback only, token on (its default), and the next free port if one is taken."""
    chosen = [
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/{START}",
        # The server fetches neither news nor updates. (Lab asks its reader once about news all the same.)
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if port is not None:
        chosen.append(f"--ServerApp.port={port}")
    if not (has_display() if browser is None else browser):
        chosen.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        chosen.append("--allow-root")  # nobody but this machine reaches it
    return chosen


def lab(target: Path | None = None, *, port: int | None = None, browser: bool | None = None) -> None:
    """Start JupyterLab on 127.0.0.1 at the first notebook and return when it is shut down.

    Jupyter prints the address with its token; without a display nothing else happens, with one a browser opens.
    """
    from jupyterlab.labapp import LabApp

    root = notebooks(target)
    print(f"Notebooks in {root}. Stop with Ctrl-C; the address is printed below.", flush=True)
    LabApp.launch_instance(argv=arguments(root, port, browser))
