"""Execute notebooks from a clean kernel and write them back without what varies."""

import sys
import tempfile
import time
from pathlib import Path

import nbformat
import zmq
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from tqdm import tqdm

HERE = Path(__file__).parent
LIMIT = 1800  # seconds that a cell may take
KEPT = ("tags", "slideshow")  # metadata of a cell
WIDGET = "application/vnd.jupyter.widget-view+json"


class Shell(AsyncZMQSocketChannel):
    """The channel on which a kernel answers.

    The client sends on it, too, while it waits: what `interact` prints goes back to the kernel. A
    socket wakes those who wait when a message comes, and sending takes that call away; so an answer
    that came at this moment lay there unread until the limit. Asking for the socket's events after
    each sending wakes them again.
    """

    def send(self, msg):
        super().send(msg)
        self.socket.get(zmq.EVENTS)


class Kernel(AsyncKernelManager):
    """A kernel whose answers are all heard."""

    def client(self, **kwargs):
        client = super().client(**kwargs)
        client.shell_channel_class = Shell
        return client


def execute(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:  # runs that are kept may be of other code
        NotebookClient(
            notebook,
            timeout=LIMIT,
            kernel_manager_class=Kernel,
            resources={"metadata": {"path": folder}},
        ).execute()
    tqdm.write(f"{path.name}: {time.perf_counter() - started:.0f} s")
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            for output in cell.outputs:  # a widget without its kernel is its text, if it has one
                if "text/html" in (data := output.get("data", {})):
                    data.pop(WIDGET, None)
            cell.outputs = [
                output for output in cell.outputs if WIDGET not in output.get("data", {})
            ]
        cell.metadata = {key: cell.metadata[key] for key in KEPT if key in cell.metadata}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    paths = [Path(name) for name in sys.argv[1:]] or sorted(HERE.rglob("*.ipynb"))
    for path in tqdm(paths, unit="notebook"):
        execute(path)
