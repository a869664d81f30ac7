"""The README's examples do what they say."""

import doctest

from scaling_models import files


def test_readme_examples():
    failed, tried = doctest.testfile(str(files.TREE / "README.md"), module_relative=False)
    assert tried > 20
    assert not failed
