"""``stylelab`` and ``python -m stylelab``: the command line."""


def main() -> None:
    """Run the command; Ctrl-C while its modules are imported gives no traceback either."""
    try:
        from stylelab.cli import main as command

        command()
    except KeyboardInterrupt:
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
