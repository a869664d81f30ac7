"""The command `scaling-models`: lab, report, check, atlas."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def _lab(options: argparse.Namespace) -> int:
    from scaling_models.lab import lab

    lab(options.folder, port=options.port, browser=options.browser)
    return 0


def _report(options: argparse.Namespace) -> int:
    from scaling_models import report

    report.main(options.out)
    return 0


def _check(options: argparse.Namespace) -> int:
    from scaling_models import MODELS
    from scaling_models.montecarlo import verification

    models = [kind.example() for kind in MODELS]
    return 0 if verification.check(models, requests=options.requests, seed=options.seed) else 1


def _atlas(options: argparse.Namespace) -> int:
    from concurrent.futures import ProcessPoolExecutor

    from scaling_models import atlas

    with ProcessPoolExecutor(options.workers) as executor:
        atlas.write(options.out, options.requests or atlas.REQUESTS, options.seed, executor)
    return 0


def _requests(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number in [1, inf); got {text}")
    return number


def parser() -> argparse.ArgumentParser:
    """The command line: one sub-command a way of use. Each imports what it needs only when it is chosen."""
    top = argparse.ArgumentParser(prog="scaling-models", description="Models of how services scale out.")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    lab = commands.add_parser("lab", help="open the notebooks in JupyterLab on this machine")
    lab.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="where to keep the notebooks (default: the source tree's own, or ./scaling_models_notebooks)",
    )
    lab.add_argument("--port", type=int, help="the first port to try (default: Jupyter's 8888)")
    lab.add_argument(
        "--browser",
        action=argparse.BooleanOptionalAction,
        help="open a browser (default: where there is a display)",
    )
    lab.set_defaults(run=_lab)

    report = commands.add_parser("report", help="write every figure and table to a folder")
    report.add_argument("--out", type=Path, default=Path("report"), help="the folder (default: report)")
    report.set_defaults(run=_report)

    check = commands.add_parser("check", help="compare every formula with its simulation")
    check.add_argument("--requests", type=_requests, help="simulated requests a model (default: each model's own)")
    check.add_argument("--seed", type=int, default=1, help="seed of the random numbers")
    check.set_defaults(run=_check)

    atlas = commands.add_parser("atlas", help="measure how far off every policy's formula is, over a grid of cases")
    atlas.add_argument("--out", type=Path, default=Path("accuracy.csv"), help="the file (default: accuracy.csv)")
    atlas.add_argument("--requests", type=_requests, help="simulated requests a case (default: a million)")
    atlas.add_argument("--seed", type=int, default=1, help="seed of the random numbers")
    atlas.add_argument("--workers", type=_requests, help="processes (default: one a core)")
    atlas.set_defaults(run=_atlas)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except (ValueError, OSError) as refusal:
        print(f"scaling-models: {refusal}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
