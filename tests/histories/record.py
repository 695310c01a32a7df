"""Record new histories: ``python tests/histories/record.py NAME...``; each is described in ``descriptions``.

A recorded history never changes and is never removed: it is what the law of the log means. So first describe it, every
outcome by hand from the law; record it; read the file. A new type of event is one description named after it, this
command, and a line in each list of types.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from histories.recorded import FOLDER
from histories.recording import DESCRIPTIONS, record


def main(wanted: list[str]) -> int:
    """Record each; says which descriptions there are where a name is none."""
    for module in sorted((FOLDER / "descriptions").glob("*.py")):
        import_module(f"histories.descriptions.{module.stem}")
    unknown = [name for name in wanted if name not in DESCRIPTIONS]
    if unknown or not wanted:
        sys.stderr.write(f"not described: {unknown or 'nothing asked for'}; described are {' '.join(DESCRIPTIONS)}\n")
        return 2
    for name in wanted:
        try:
            record(name)
        except FileExistsError:
            sys.stderr.write(f"{name} is recorded already and never changes; describe a new one\n")
            return 1
        sys.stdout.write(f"recorded {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
