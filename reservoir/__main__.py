"""``python -m reservoir``: the command line."""

from reservoir.cli import main

if __name__ == "__main__":
    main()
