"""What a reader does: open a notebook in JupyterLab, run it, move a slider with the keyboard, see the curve move."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Lab
    from playwright.sync_api import Locator, Page

SLIDER = ".widget-slider .noUi-handle"
CURVES = ".js-plotly-plot .scatterlayer path.js-line"
MINUTE = 60_000

RUN_ALL = """async () => {
    const app = window.jupyterapp;
    const notebook = app.shell.currentWidget;
    await notebook.context.ready;
    await notebook.sessionContext.ready;
    await notebook.sessionContext.session.kernel.info;
    window.finished = false;
    app.commands.execute('notebook:run-all-cells').finally(() => { window.finished = true; });
}"""

# From the model, not from what is drawn: cells out of sight are not in the page at all.
ERRORS = """() => [...window.jupyterapp.shell.currentWidget.context.model.cells]
    .flatMap((cell, number) => [...(cell.toJSON().outputs ?? [])]
        .filter(output => output.output_type === 'error')
        .map(output => `cell ${number}: ${output.ename}: ${output.evalue}`))"""

OPENED = """() => window.jupyterapp?.shell?.currentWidget?.context !== undefined"""

DRAWN = """selector => [...document.querySelectorAll(selector)].map(path => path.getAttribute('d')).join('|')"""


def drawn(page: Page) -> str:
    """The shape of all curves on the page."""
    shape: str = page.evaluate(DRAWN, CURVES)
    return shape


def open_and_run(page: Page, address: str) -> None:
    """Open one notebook and run all its cells, without an error in any."""
    page.goto(address, timeout=2 * MINUTE)
    page.wait_for_function("() => window.jupyterapp !== undefined", timeout=2 * MINUTE)
    page.evaluate("() => window.jupyterapp.restored")
    page.wait_for_function(OPENED, timeout=MINUTE)
    page.evaluate(RUN_ALL)
    page.wait_for_function("() => window.finished", timeout=2 * MINUTE)
    assert page.evaluate(ERRORS) == []


def move(page: Page, slider: Locator, before: str) -> None:
    """Press an arrow key on the slider, and wait until the curves are no longer what they were."""
    slider.focus()
    slider.press("ArrowRight")
    page.wait_for_function(f"before => ({DRAWN})({CURVES!r}) !== before", arg=before, timeout=MINUTE)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("name", ["start.ipynb"])
def test_an_arrow_key_on_a_slider_moves_the_curve(lab: Lab, page: Page, tmp_path: Path, name: str) -> None:
    complaints: list[str] = []
    page.on("console", lambda told: complaints.append(told.text) if "setting state" in told.text else None)
    open_and_run(page, lab.document(name))
    slider, curve = page.locator(SLIDER).first, page.locator(CURVES).first
    curve.wait_for(state="attached", timeout=MINUTE)
    slider.scroll_into_view_if_needed(timeout=MINUTE)
    before = drawn(page)
    try:
        move(page, slider, before)
        # There and back: a figure that has left the page would never draw again.
        page.get_by_role("button", name="Break it").first.click()
        page.get_by_text("all slots stall").first.wait_for(state="visible", timeout=MINUTE)
        page.get_by_role("button", name="Break it").first.click()
        page.get_by_text("all slots stall").first.wait_for(state="hidden", timeout=MINUTE)
        move(page, slider, drawn(page))
    finally:
        page.screenshot(path=tmp_path / "moved.png")
    assert complaints == []
    # A reader must see both at once: the slider, and the figure that it moves.
    for thing in (slider, page.locator(".js-plotly-plot").first):
        box = thing.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + min(box["height"], 300) <= 1000
