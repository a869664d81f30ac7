"""A real JupyterLab and a real Chromium, both kept to 127.0.0.1."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, sync_playwright

START_SECONDS = 120
"""A busy machine takes a minute to start Lab."""

FLAGS = [
    "--no-sandbox",  # Chromium's own does not work for root, as in most containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    url: str
    token: str
    notebooks: Path

    def document(self, name: str) -> str:
        """The address of one notebook by itself, with nothing restored from earlier."""
        return f"{self.url}doc/tree/{name}?reset&token={self.token}"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The system's Chromium. Without one: skip on a person's machine, fail where CI is set."""
    found = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if found is None:
        sentence = "no Chromium on the PATH: the notebooks were not tried in a browser"
        if os.environ.get("CI"):
            pytest.fail(sentence)
        pytest.skip(sentence)
    return found


def own_folders(home: Path) -> dict[str, str]:
    """An environment in which Jupyter reads and writes nothing of the user's."""
    places = {
        "JUPYTER_CONFIG_DIR": home / "config",
        "JUPYTER_DATA_DIR": home / "data",
        "JUPYTER_RUNTIME_DIR": home / "runtime",
        "JUPYTERLAB_SETTINGS_DIR": home / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": home / "workspaces",
        "IPYTHONDIR": home / "ipython",
    }
    for place in places.values():
        place.mkdir(parents=True)
    # The test talks to Lab in the page itself: menus hang on a busy machine.
    (home / "config" / "jupyter_lab_config.json").write_text('{"LabApp": {"expose_app_in_browser": true}}')
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "IPYTHON"))}
    return {**kept, **{name: str(place) for name, place in places.items()}}


def started(process: subprocess.Popen[bytes], runtime: Path) -> dict[str, str | int]:
    """What a new server says of itself, as soon as it answers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            try:
                server: dict[str, str | int] = json.loads(path.read_text())
                with urllib.request.urlopen(f"{server['url']}api/status?token={server['token']}", timeout=10):
                    return server
            except (OSError, ValueError):
                pass  # not yet: half written, or not listening
        time.sleep(0.2)
    raise TimeoutError(f"JupyterLab did not start (exit status {process.poll()})")


@pytest.fixture(scope="session")
def lab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """`scaling-models lab` on a copy of the notebooks, told a port that is taken already."""
    home = tmp_path_factory.mktemp("lab")
    environment = own_folders(home)
    with socket.create_server(("127.0.0.1", 0)) as taken, (home / "log").open("wb") as log:
        port = taken.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "scaling_models", "lab", "notebooks", "--no-browser", "--port", str(port)],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            server = started(process, home / "runtime")
            assert server["port"] != port
            assert server["hostname"] == "127.0.0.1"
            assert server["token"], "the token is off"
            yield Lab(str(server["url"]), str(server["token"]), home / "notebooks")
        except TimeoutError as error:
            pytest.fail(f"{error}\n{(home / 'log').read_text(errors='replace')[-3000:]}")
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def page(chromium: str) -> Iterator[Page]:
    """A page of a fresh browser. The test fails if anything it shows asks for more than 127.0.0.1."""
    outside: list[str] = []

    def guard(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        # Service workers would fetch behind the guard's back.
        context = browser.new_context(viewport={"width": 1400, "height": 1000}, service_workers="block")
        context.route(lambda url: urlsplit(url).scheme in ("http", "https"), guard)
        page = context.new_page()
        page.on("websocket", lambda ws: None if urlsplit(ws.url).hostname == "127.0.0.1" else outside.append(ws.url))
        yield page
        browser.close()
    assert not outside, f"the page asked for {outside}"
