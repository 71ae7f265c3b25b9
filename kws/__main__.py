"""``python -m kws`` is ``kws``."""

from kws.cli import main

if __name__ == "__main__":
    main()
