"""Every planted defect of the simulator still has its place in the source."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/simulation"))
from defects import DEFECTS  # noqa: E402

wrong = [f"{name}: its text occurs {count} times in {file}"
         for name, _, file, text, *_ in DEFECTS
         if (count := (ROOT / file).read_text().count(text)) != 1]
names = [name for name, *_ in DEFECTS]
wrong += [f"{name}: named twice" for name in set(names) if names.count(name) > 1]
for line in wrong:
    print(line, file=sys.stderr)
print(f"{len(DEFECTS)} planted defects, {len(wrong)} wrong")
sys.exit(1 if wrong else 0)
