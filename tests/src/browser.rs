//! A headless Chromium before the dashboard, driven by chromedriver.
