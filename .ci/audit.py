"""Say which pinned requirements have known holes, as far as the index that is used here can be asked.

python .ci/audit.py            # tells
python .ci/audit.py --strict   # tells, and fails where a hole is known
"""

import json
import subprocess
import sys

COMMAND = [
    *(sys.executable, "-m", "pip_audit", "--requirement", "requirements.txt"),
    *("--no-deps", "--disable-pip", "--timeout", "5", "--progress-spinner", "off", "--format", "json"),
]


def main(strict: bool) -> int:
    try:
        asked = subprocess.run(COMMAND, capture_output=True, text=True, timeout=90)
        requirements = json.loads(asked.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        print("known holes: not looked up, because the index cannot be asked from here")
        return 0
    told = [r for r in requirements if "skip_reason" not in r]
    print(f"known holes: {len(told)} of {len(requirements)} requirements could be looked up")
    holes = [(r, hole) for r in told for hole in r["vulns"]]
    for requirement, hole in holes:
        mended = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"  {requirement['name']} {requirement['version']}: {hole['id']}, mended in {mended}")
    return int(strict and bool(holes))


if __name__ == "__main__":
    sys.exit(main("--strict" in sys.argv))
