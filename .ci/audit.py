"""Say which packages of the lock have known holes, as far as the index that is used here can be asked.

python .ci/audit.py            # tells, and fails where a hole is known
python .ci/audit.py --strict   # fails too where not every package could be asked for

The last line says how it went.
"""

import json
import subprocess
import sys
from typing import Any

COMMAND = [
    *(sys.executable, "-m", "pip_audit", "--requirement", "requirements.lock"),
    *("--no-deps", "--disable-pip", "--timeout", "5", "--progress-spinner", "off", "--format", "json"),
]


def told() -> list[dict[str, Any]]:
    """What pip-audit says about each package; nothing where it could not be asked at all."""
    try:
        asked = subprocess.run(COMMAND, capture_output=True, text=True, timeout=150)
        return list(json.loads(asked.stdout)["dependencies"])
    except (subprocess.TimeoutExpired, ValueError):
        return []


def main(strict: bool) -> int:
    packages = told()
    known = [package for package in packages if "skip_reason" not in package]
    holes = [(package, hole) for package in known for hole in package["vulns"]]
    for package, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"  {package['name']} {package['version']}: {hole['id']}, mended in {mended}")
    missing = len(packages) - len(known)
    if holes:
        print(f"KNOWN HOLES: {len(holes)} in {len(known)} packages, could not ask for {missing} others")
    elif not known:
        print("known holes: COULD NOT ASK: the index that is used here answers for none of the packages")
    elif missing:
        print(f"known holes: none in {len(known)} packages, COULD NOT ASK for {missing} others")
    else:
        print(f"known holes: none in all {len(known)} packages")
    return int(bool(holes) or (strict and (missing or not known)))


if __name__ == "__main__":
    sys.exit(main("--strict" in sys.argv))
