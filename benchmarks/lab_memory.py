"""Memory of a kernel in which live labs are opened, run and closed, or whose cell runs again.

Each lab is of another size, the last one of that of the first.
"""

import argparse
import queue

import psutil
from jupyter_client.manager import start_new_kernel

SIDES = [150, 120, 200, 130, 180, 140, 160, 110, 170]  # heights in pixels; the width is half more
SETUP = """
import gc
from dataclasses import replace
from stylelab import PRESETS, LiveLab

def play(height, lab):
    lab.panel.show_config(replace(PRESETS["paper"], size=(height, height * 3 // 2), steps=3))
    lab.run()
    assert lab.join(900) and lab.error is None, lab.error
"""
CELLS = {
    "closed": "lab = LiveLab()\nplay({height}, lab)\nlab.close()",
    "cell runs again": "lab = LiveLab()\nplay({height}, lab)\nlab",
}


class Kernel:
    """A notebook's kernel, and what it holds of memory."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel()
        self.run(SETUP, "setup")

    def run(self, code: str, cell: str) -> None:
        """Run a cell as a notebook does, which names it."""
        content = {"code": code, "silent": False, "store_history": True, "stop_on_error": True}
        content |= {"user_expressions": {}, "allow_stdin": False}
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell})
        self.client.shell_channel.send(message)
        while True:
            try:
                reply = self.client.get_iopub_msg(timeout=900)
            except queue.Empty:
                raise TimeoutError("the kernel does not answer") from None
            if reply["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            if reply["msg_type"] == "error":
                raise RuntimeError("\n".join(reply["content"]["traceback"]))
            if reply["content"].get("execution_state") == "idle":
                return

    def megabytes(self) -> float:
        """Of memory that the kernel holds, after what is unreachable has been collected."""
        self.run("gc.collect();", "count")
        return float(psutil.Process(self.manager.provisioner.pid).memory_info().rss) / 2**20

    def end(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labs", type=int, nargs="?", default=10)
    labs = parser.parse_args().labs
    heights = [SIDES[i % len(SIDES)] for i in range(labs - 1)] + SIDES[:1]
    for name, code in CELLS.items():
        kernel = Kernel()
        try:
            found = [kernel.megabytes()]
            for height in heights:
                kernel.run(code.format(height=height), "lab")
                found.append(kernel.megabytes())
        finally:
            kernel.end()
        print(f"{name}: {', '.join(f'{value:.0f}' for value in found)} MB", flush=True)
        print(f"  after {labs} labs {found[-1] - found[1]:+.0f} MB against after one", flush=True)


if __name__ == "__main__":
    main()
