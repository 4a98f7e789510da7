"""``python -m mil_bench`` is the same program as ``mil-bench``."""

from mil_bench.cli.main import main

if __name__ == "__main__":
    main()
