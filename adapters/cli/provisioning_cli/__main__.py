"""``python -m provisioning_cli``."""

from provisioning_cli import main

if __name__ == "__main__":
    main(prog_name="provision")
