"""Where the tests find the project, and real data beside it where that is there."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"  # real texts and vocabularies; see README
SUPPORT = ROOT / "tests" / "support"
