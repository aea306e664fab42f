"""``python -m wavevit``: the command line without an installed script."""

from wavevit.cli import main

if __name__ == "__main__":
    main()
