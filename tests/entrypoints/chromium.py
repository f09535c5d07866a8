"""A real Chromium, driven over the pipe of its DevTools protocol: no driver to install, and no port to open."""

import json
import os
import selectors
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# The protocol's pipe is file descriptors 3 and 4 of the browser.
RUN_WITH_PIPE = (
    "import os, sys; take, give = int(sys.argv[1]), int(sys.argv[2]); high = [os.dup(take), os.dup(give)];"
    "os.dup2(high[0], 3); os.dup2(high[1], 4); [os.set_inheritable(n, True) for n in (3, 4)];"
    "os.execvp(sys.argv[3], sys.argv[3:])"
)
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--remote-debugging-pipe", "--lang=en",
             "--no-proxy-server", "--hide-scrollbars")  # fmt: skip
PATIENCE = 30.0


def find_chromium() -> str | None:
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One page. Everything that its console or an uncaught error says is in `complaints`."""

    def __init__(self, give: int, take: int) -> None:
        self.give, self.take = give, take
        self.buffer, self.count = b"", 0
        self.session: str | None = None
        self.complaints: list[str] = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(take, selectors.EVENT_READ)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self.count += 1
        message: dict[str, Any] = {"id": self.count, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.give, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._listen(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self.buffer:
            assert self.selector.select(PATIENCE), "the browser says nothing"
            received = os.read(self.take, 1 << 20)
            assert received, "the browser ended"
            self.buffer += received
        line, _, self.buffer = self.buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _listen(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(told["exceptionDetails"].get("exception", {}).get("description")))
        elif event.get("method") == "Log.entryAdded" and told["entry"]["source"] != "network":
            self.complaints.append(told["entry"]["text"])

    def open_page(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def show_as(self, width: int, height: int = 900, scheme: str = "light") -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def visit(self, url: str) -> None:
        """From an empty page, so that one that differs after `#` alone is loaded too."""
        self.call("Page.navigate", url="about:blank")
        self.wait_for("location.href === 'about:blank'")
        self.call("Page.navigate", url=url)
        self.wait_for("location.href !== 'about:blank' && document.readyState === 'complete'")

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited; JSON only."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self.run(f"Boolean({expression})"):
            assert time.monotonic() < deadline, (expression, self.run("document.body?.innerText"), self.complaints)
            time.sleep(0.02)

    def press(self, key: str) -> None:
        """As a person does: into what has the focus."""
        named = {"Enter": ("\r", 13), "Tab": ("", 9), "Escape": ("", 27), " ": (" ", 32)}
        text, code = named.get(key, (key, ord(key.upper()) if len(key) == 1 else 0))
        parameters = {"key": key, "windowsVirtualKeyCode": code} | ({"text": text} if text else {})
        self.call("Input.dispatchKeyEvent", type="keyDown", **parameters)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def type_text(self, text: str) -> None:
        self.call("Input.insertText", text=text)


@contextmanager
def run_chromium(program: str, folder: Path) -> Iterator[Browser]:
    """`folder` holds its profile."""
    take, their_give = os.pipe()
    their_take, give = os.pipe()
    numbers = (str(their_take), str(their_give))
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_WITH_PIPE, *numbers, program, *ARGUMENTS, f"--user-data-dir={folder}"],
        pass_fds=(their_take, their_give),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(their_take)
    os.close(their_give)
    browser = Browser(give, take)
    try:
        browser.open_page()
        yield browser
        browser.session = None
        browser.call("Browser.close")
    finally:
        browser.selector.close()
        os.close(give)
        os.close(take)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
