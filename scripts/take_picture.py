"""Take a picture of a running page.

    python scripts/take_picture.py URL FILE [--width 1280] [--height 0] [--dark]

Uses the Chromium or Chrome of this machine through Playwright (`pip install -e '.[dev]'`).
"""

import argparse
import shutil
import sys
from pathlib import Path

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> int:
    """Take the picture; return 0, or 2 without a browser."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("file", type=Path, help="a .png")
    parser.add_argument("--width", type=int, default=1280, help="in pixels; default: 1280")
    parser.add_argument(
        "--height", type=int, default=0, help="in pixels; default: 0, the whole page"
    )
    parser.add_argument("--dark", action="store_true", help="the dark theme")
    args = parser.parse_args()
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if browser is None:
        print("neither chromium nor google-chrome was found: install one", file=sys.stderr)
        return 2
    theme = "dark" if args.dark else "light"
    take_picture(browser, f"{args.url}?__theme={theme}", args.file, args.width, args.height)
    print(f"{args.file}: {args.file.stat().st_size / 1000:.0f} kB")
    return 0


def take_picture(browser: str, url: str, file: Path, width: int, height: int) -> None:
    """Open the page, wait for its first answer, and write the picture."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=CHROMIUM_FLAGS)
        page = chromium.new_page(viewport={"width": width, "height": height or 800})
        page.goto(url)
        page.wait_for_selector(".mlm-bars, .mlm-problem")
        page.wait_for_timeout(500)  # until the layout settles
        page.screenshot(path=file, full_page=not height)
        chromium.close()


if __name__ == "__main__":
    raise SystemExit(main())
