"""Hypothesis draws the same cases every time where CI is set, and new ones on a person's machine."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)  # a slow machine is no failure
if os.environ.get("CI"):
    settings.load_profile("ci")
