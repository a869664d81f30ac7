"""Notebooks and data are found in the tree and in a wheel, the command line parses, and Lab keeps to this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from scaling_models import __main__ as command
from scaling_models import files, lab


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pretended installation, with one shipped notebook."""
    shipped = tmp_path / "site" / "scaling_models" / "_shipped"
    (shipped / "notebooks").mkdir(parents=True)
    (shipped / "notebooks" / "start.ipynb").write_text("shipped")
    monkeypatch.setattr(files, "SHIPPED", shipped)
    monkeypatch.setattr(files, "TREE", tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    return shipped


@pytest.mark.parametrize("name", ["data", "notebooks"])
def test_the_tree_has_both_folders(name: str) -> None:
    assert files.folder(name).is_dir()


def test_a_wheel_uses_its_own_copy(wheel: Path) -> None:
    assert files.is_shipped()
    assert files.folder("notebooks") == wheel / "notebooks"


def test_a_folder_beside_an_installed_package_is_somebody_elses(wheel: Path) -> None:
    (files.TREE / "data").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no folder 'data'.*install the package again"):
        files.folder("data")


def test_the_tree_is_worked_in_directly(tmp_path: Path) -> None:
    assert lab.notebooks() == files.folder("notebooks")
    assert lab.notebooks(tmp_path / "own") == tmp_path / "own"
    assert (tmp_path / "own" / lab.START).is_file()


def test_a_wheel_copies_its_notebooks_and_keeps_the_readers(wheel: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lab.notebooks()
    assert folder == (Path.cwd() / lab.COPY)
    assert (folder / "start.ipynb").read_text() == "shipped"
    (folder / "start.ipynb").write_text("mine")
    (wheel / "notebooks" / "new.ipynb").write_text("new")
    assert capsys.readouterr().out == ""

    assert lab.notebooks() == folder
    assert (folder / "start.ipynb").read_text() == "mine"
    assert (folder / "new.ipynb").read_text() == "new"
    assert "Kept your" in capsys.readouterr().out


def test_lab_keeps_to_this_machine_and_its_token(tmp_path: Path) -> None:
    chosen = lab.arguments(tmp_path)
    assert "--ServerApp.ip=127.0.0.1" in chosen
    assert "--LabApp.default_url=/lab/tree/start.ipynb" in chosen
    assert not [argument for argument in chosen if "token" in argument.lower() or "password" in argument.lower()]


@pytest.mark.parametrize(
    ("variables", "shown"), [({}, False), ({"DISPLAY": ":0"}, True), ({"WAYLAND_DISPLAY": "w"}, True)]
)
def test_a_browser_opens_only_where_there_is_a_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], shown: bool
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.environ", variables)
    assert ("--no-browser" not in lab.arguments(tmp_path)) == shown
    assert "--no-browser" not in lab.arguments(tmp_path, browser=True)
    assert "--no-browser" in lab.arguments(tmp_path, browser=False)


def test_the_command_line() -> None:
    parse = command.parser().parse_args
    assert parse(["lab"]).folder is None
    assert parse(["lab", "mine", "--port", "9000", "--no-browser"]).browser is False
    assert parse(["report", "--out", "figures"]).out == Path("figures")
    assert parse(["check", "--requests", "1000", "--seed", "7"]).seed == 7


def test_no_command_is_an_error_with_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main([])
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(("agrees", "status"), [(True, 0), (False, 1)])
def test_check_tells_disagreement_by_its_status(monkeypatch: pytest.MonkeyPatch, agrees: bool, status: int) -> None:
    def check(models: object, *, requests: int, seed: int) -> bool:
        assert (requests, seed) == (1000, 7)
        return agrees

    monkeypatch.setattr("scaling_models.montecarlo.verification.check", check)
    assert command.main(["check", "--requests", "1000", "--seed", "7"]) == status


@pytest.mark.parametrize("given", ["abc", "0", "-3", "1.5"])
def test_a_number_of_requests_is_refused_in_a_sentence(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["check", f"--requests={given}"])
    assert f"must be a whole number in [1, inf); got {given}" in capsys.readouterr().err
