"""A headless Chromium that tests drive through its debugging pipe: real keys, real downloads, no further package."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--mute-audio",
    "--remote-debugging-pipe",
)
PATIENCE_SECONDS = 60


def find_chromium():
    """Path of the browser, or None; the pipe needs bash to put it where Chromium looks."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found if found and os.name == "posix" and shutil.which("bash") else None


class Browser:
    """One tab of a browser of its own."""

    def __init__(self, profile, downloads):
        self._numbers = itertools.count(1)
        self._buffer = b""
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}', find_chromium(), *FLAGS]
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session = None
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self("Page.enable")
        self("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))

    def __call__(self, method, **parameters):
        """Send one command and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("method") == "Page.javascriptDialogOpening":
                self._accept_dialog()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def _accept_dialog(self):
        message = {"id": next(self._numbers), "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}
        os.write(self._out, json.dumps(message | {"sessionId": self._session}).encode() + b"\0")

    def _read(self):
        while b"\0" not in self._buffer:
            block = os.read(self._in, 1 << 16)
            assert block, "the browser has gone"
            self._buffer += block
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def open(self, url):
        self("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script):
        """Value of a JavaScript expression."""
        found = self("Runtime.evaluate", expression=script, returnByValue=True, userGesture=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, script):
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.run(script):
            assert time.monotonic() < end, script
            time.sleep(0.05)

    def press(self, key, code, text=""):
        """Press and release a key, as a keyboard does."""
        how = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self("Input.dispatchKeyEvent", type="keyDown", text=text, **how)
        self("Input.dispatchKeyEvent", type="keyUp", **how)

    def close(self):
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_SECONDS)
        os.close(self._out)
        os.close(self._in)
