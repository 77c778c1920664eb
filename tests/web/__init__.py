"""The live page in a real browser, headless Chromium, with a real switch behind it."""
