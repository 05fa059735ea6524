"""The page that `make demo` serves: the live lab without the chapter around it, for a projector."""

import nbformat

LOOKS = """<style>
:root { --jp-ui-font-size1: 17px; --jp-content-font-size1: 17px; --jp-widgets-font-size: 17px;
        --jp-widgets-inline-height: 32px; --jp-widgets-inline-width-short: 170px; }
body.jp-Notebook { padding: 0; }
#rendered_cells h1 { font-size: 22px; margin: 4px 0; }
#rendered_cells .jp-Cell { padding: 0 12px; }
.stylelab-panel { max-width: 1260px; }
</style>

# Style transfer, live
"""


def page(request, notebook, cwd):
    """Keep what the page shows; Voilà calls it for each visitor, before the kernel starts."""
    kept = [c for c in notebook.cells if {"parameters", "page"} & set(c.metadata.get("tags", []))]
    notebook.cells = [nbformat.v4.new_markdown_cell(LOOKS), *kept]
    return notebook


c = get_config()  # noqa: F821
c.VoilaConfiguration.prelaunch_hook = page
c.VoilaConfiguration.theme = "light"
c.Voila.ip = "127.0.0.1"
# The kernel of a visitor who went away without a word, say with a flat battery.
c.MappingKernelManager.cull_idle_timeout = 600
c.MappingKernelManager.cull_interval = 60
