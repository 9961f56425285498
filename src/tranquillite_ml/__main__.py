"""What the command `tranquillite` and ``python -m tranquillite_ml`` begin with."""

from __future__ import annotations

from tranquillite_ml.cli.interrupts import leave_on_interrupt


def main() -> None:
    """Run the command line."""
    leave_on_interrupt()  # before the imports that take time
    from tranquillite_ml.cli.main import main as begin

    begin()


if __name__ == "__main__":
    main()
