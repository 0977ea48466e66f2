"""`python -m segflow.cli` is `segflow`."""

from segflow.cli.app import main

if __name__ == "__main__":
    main()
