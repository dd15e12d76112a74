"""Run every benchmark, one process each; exit 1 when one misses its budget or breaks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> int:
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    missed = []
    for name in names:
        print(f"\n=== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode:
            missed.append(name)
    print(
        f"\n{len(names) - len(missed)} of {len(names)} benchmarks within budget"
        + "".join(f"\nmissed: {n}" for n in missed)
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
