"""The program. App processes import this file, too, so it imports the command line only to run it."""


def run() -> None:
    """Run the command line."""
    from healthplus.cli import main  # noqa: PLC0415

    main()


if __name__ == "__main__":
    run()
