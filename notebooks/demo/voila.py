"""The server of the page that `page.py` writes, for `make demo`."""

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager


class Kernels(AsyncMappingKernelManager):
    """Ends the kernels of visitors who went away, and none that waits for its first."""

    async def cull_kernel_if_idle(self, kernel_id):
        if kernel_id in self.visited:
            await super().cull_kernel_if_idle(kernel_id)

    def notify_connect(self, kernel_id):
        self.visited.add(kernel_id)
        super().notify_connect(kernel_id)

    def __init__(self, **settings):
        self.visited = set()
        super().__init__(**settings)


c = get_config()  # noqa: F821
c.Voila.ip = "127.0.0.1"
c.VoilaConfiguration.theme = "light"
c.VoilaConfiguration.file_allowlist = []  # no files: among them are what other visitors saved
# A kernel in which the page has run waits for each next visitor; it takes as much memory as one.
c.VoilaConfiguration.preheat_kernel = True
c.VoilaConfiguration.default_pool_size = 1
c.VoilaKernelManager.fill_delay = 5  # seconds, in which the visitor's page has the processor
c.VoilaConfiguration.multi_kernel_manager_class = Kernels
# The kernel of a visitor who went away without a word, say with a flat battery.
c.MappingKernelManager.cull_idle_timeout = 600
c.MappingKernelManager.cull_interval = 60
