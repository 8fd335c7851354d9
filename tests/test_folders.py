"""The repository's own folders, where a host looks at their names."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
# The order in which ComfyUI looks for the folder that it serves a pack's templates from.
TEMPLATE_FOLDERS = ("example_workflows", "example", "examples", "workflow", "workflows")


def test_no_other_folder_hides_the_templates():
    """ComfyUI lists the templates of several folders but serves files from the first that exists: an `examples/`
    beside `workflows/` makes every thumbnail a placeholder and a click on a template do nothing, without a word.
    """
    names = {path.name.lower() for path in ROOT.iterdir()}
    assert names & set(TEMPLATE_FOLDERS) == {"workflows"}
