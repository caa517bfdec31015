"""Paths of the project and of real data beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"  # real texts and vocabularies; see docs/data.md
SUPPORT = ROOT / "tests" / "support"
