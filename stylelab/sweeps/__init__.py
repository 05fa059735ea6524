"""Grids of runs, the runs themselves, and plots of them."""

import lazy_loader

__getattr__, _, _ = lazy_loader.attach(
    __name__, submod_attrs={"runs": ["Sweep", "sweep", "run_all"], "table": ["collect"]}
)
