"""Calls to vendors over HTTP. Every call ends in an answer, in `NotApplied` or in `NoAnswer`; nothing is sent twice in between.

Sending again is up to the caller, who knows whether a second send is the same effect. What is retried here is only a connection
that could not be opened, and a GET.
"""

import contextlib
import queue
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from json import loads
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from core.config import get_settings
from core.errors import BadInput, OpsError
from core.kit import clock

if TYPE_CHECKING:
    import ssl

    import httpx

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
MAX_BYTES: Final = 4_000_000
MAX_RETRY_AFTER_S: Final = 24 * 3600.0


@lru_cache(maxsize=1)
def trust() -> "ssl.SSLContext":
    """Whom we believe to be who they say. Made once: reading all certificates takes as long as a call."""
    import httpx

    return httpx.create_ssl_context()


class NotApplied(OpsError):
    """Certainly nothing happened there: it was not reached, or it said no. `status` is the HTTP or SMTP status, if any."""

    def __init__(
        self, message: str, next_step: str = "", *, retryable: bool = False, retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, next_step)
        self.retryable, self.retry_after_s, self.status = retryable, retry_after_s, status


class NoAnswer(OpsError):
    """Something may have been sent and no usable answer came: it may have happened or not."""

    retryable = True

    def __init__(self, message: str, next_step: str = "", *, status: int | None = None) -> None:
        super().__init__(message, next_step)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer with a status below 500 that is neither a redirect nor a 429. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any] | None:
        """The body as a JSON object; None when it is none."""
        try:
            found = loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None


def checked_base(url: str, vendor: str, setting: str) -> str:
    """The base URL without a slash at its end. Raises BadInput unless it is https, or http on this machine."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise BadInput(f"The address of {vendor} must begin with https://.", f"Correct {setting}; the key goes along with it.")
    return url.rstrip("/")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the vendor asks to wait (`retry-after` as seconds or a date), at most a day; None when it does not say."""
    from email.utils import parsedate_to_datetime

    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - clock.now()).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER_S) if seconds == seconds else None


class Caller:
    """Calls one vendor with one key. Times out by itself; follows no redirect, which would carry the key along."""

    def __init__(self, vendor: str, base_url: str, headers: Mapping[str, str], *, setting: str) -> None:
        self._vendor, self._setting = vendor, setting
        self._base = checked_base(base_url, vendor, setting)
        self._headers = {"accept": "application/json", "accept-encoding": "identity", "user-agent": "manageai-ops"} | dict(
            headers
        )

    def write(self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """Send exactly these bytes, once. Raises NotApplied or NoAnswer."""
        tries = get_settings().vendor_tries
        for left in range(tries - 1, -1, -1):
            try:
                return self._judged(self._once(method, path, content, headers or {}, {}))
            except _NotConnected as error:
                if left == 0:
                    raise NotApplied(
                        f"{self._vendor} can't be reached ({error}).",
                        f"Check the network and {self._setting}; it is tried again by itself.",
                        retryable=True,
                    ) from None
                _pause(tries - 1 - left)
        raise AssertionError("unreachable")

    def read(self, path: str, params: Mapping[str, str], *, tries: int | None = None) -> Answer:
        """A GET, tried a few times. Raises NotApplied (with `retry_after_s`) for a 429, NoAnswer for all else without answer."""
        tries = tries or get_settings().vendor_tries
        last: NoAnswer | None = None
        for done in range(tries):
            if done:
                _pause(done - 1)
            try:
                return self._judged(self._once("GET", path, None, {}, params))
            except _NotConnected as error:
                last = NoAnswer(f"{self._vendor} can't be reached ({error}).", f"Check the network and {self._setting}.")
            except NoAnswer as error:
                last = error
        raise last or AssertionError("unreachable")

    def _judged(self, answer: Answer) -> Answer:
        status = answer.status
        if status == 429:
            raise NotApplied(
                f"{self._vendor} asks us to slow down.", "It is tried again by itself.",
                retryable=True, retry_after_s=retry_after(answer.headers), status=status,
            )  # fmt: skip
        if status in (307, 308):  # by their definition nothing was done where they come from
            raise NotApplied(
                f"{self._vendor} pointed us to another address, which is not followed.", f"Check {self._setting}.", status=status
            )
        if 300 <= status < 400 or status in (408, 425) or status >= 500:
            raise NoAnswer(f"{self._vendor} had a problem of its own ({status}).", "It is looked into again.", status=status)
        return answer

    def _once(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str], params: Mapping[str, str]
    ) -> Answer:
        """One call within its deadline, in a thread of its own: a socket's timeout bounds only each single read."""
        done: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()
        opened: list[httpx.Client] = []
        arguments = (method, f"{self._base}{path}", content, self._headers | dict(headers), params, opened, done)
        threading.Thread(target=self._work, args=arguments, name=f"{self._vendor}-call", daemon=True).start()
        try:
            outcome = done.get(timeout=get_settings().vendor_deadline_s)
        except queue.Empty:
            with contextlib.suppress(Exception):
                opened[0].close()  # ends the thread
            raise NoAnswer(f"{self._vendor} did not answer in time.", "It is looked into again.") from None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _work(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], params: Mapping[str, str],
        opened: "list[httpx.Client]", done: "queue.SimpleQueue[Answer | Exception]",
    ) -> None:  # fmt: skip
        import httpx

        settings = get_settings()
        timeout = httpx.Timeout(settings.vendor_timeout_s, connect=settings.vendor_connect_timeout_s)
        try:
            # a connection of its own: one that was kept open may be closed at the other end just as bytes leave
            with httpx.Client(timeout=timeout, follow_redirects=False, headers=dict(headers), verify=trust()) as client:
                opened.append(client)
                with client.stream(method, url, content=content, params=dict(params) or None) as response:
                    body = _body(response, self._vendor)
                    done.put(Answer(response.status_code, dict(response.headers), body))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            done.put(_NotConnected(type(error).__name__))
        except NoAnswer as error:
            done.put(error)
        except UnicodeError:
            done.put(NotApplied(f"The key of {self._vendor} has characters no key has.", "Enter it again under Connections."))
        except Exception as error:  # noqa: BLE001 - whatever else happens, bytes may have left
            done.put(NoAnswer(f"{self._vendor} gave no answer ({type(error).__name__}).", "It is looked into again."))


class _NotConnected(Exception):
    """No connection was made, so no byte left."""


def _body(response: "httpx.Response", vendor: str) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise NoAnswer(f"{vendor} answered something we can't read.", "It is looked into again.", status=response.status_code)
    parts, size = [], 0
    for part in response.iter_raw(65_536):
        size += len(part)
        if size > MAX_BYTES:
            raise NoAnswer(f"{vendor} answered far too much.", "It is looked into again.", status=response.status_code)
        parts.append(part)
    return b"".join(parts)


def _pause(done: int) -> None:
    # jitter, so that workers that were turned away together do not come back together
    time.sleep(get_settings().vendor_backoff_s * 2**done * random.uniform(0.75, 1.25))  # noqa: S311
