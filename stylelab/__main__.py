"""``python -m stylelab``: the command line."""

from stylelab.cli import main

main()
