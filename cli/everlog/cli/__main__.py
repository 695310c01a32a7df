"""``python -m everlog.cli``: the same as ``everlog``, for child processes."""

from everlog.cli.main import main

main()
