"""`python -m stact_pacs`: the same as the command `stact-pacs`."""

from stact_pacs.cli import main

if __name__ == "__main__":
    main()
