"""Handing one mail over to a mail server. It can't be looked up afterwards: without the server's word nobody knows.

Until the dot that ends the message leaves, the server can't have taken it (RFC 5321, 4.1.1.4): every failure before is a
refusal, every failure after it without a reply is no answer.
"""

import contextlib
import smtplib
import socket
import ssl
import threading

from core.config import get_settings
from core.integrations.smtp.errors import SmtpRefused, refused
from core.integrations.smtp.message import Mail
from core.kit.http import LOOPBACK, NoAnswer

TLS, STARTTLS, NONE = "tls", "starttls", "none"
_READY, _TAKEN, _CLOSING = 354, 250, 421


class MailServer:
    """One account at one server. `security` is tls (from the start), starttls, or none: for this machine's own server only."""

    def __init__(self, host: str, port: int, security: str, user: str, password: str) -> None:
        if security not in (TLS, STARTTLS) and not (security == NONE and host in LOOPBACK):
            raise SmtpRefused("A mail server elsewhere needs encryption.", "Choose starttls or tls under Connections.")
        self._host, self._port, self._security, self._user, self._password = host, port, security, user, password

    def send(self, mail: Mail) -> str:
        """Hand it over. Returns the server's reply. Raises SmtpRefused or NoAnswer within the deadline of a call."""
        return _Call(self, mail).run()

    def check(self) -> None:
        """Sign in and go. Raises SmtpRefused or NoAnswer."""
        _Call(self, None).run()

    def opened(self) -> smtplib.SMTP:
        """A connection that is encrypted and signed in. Raises SmtpRefused, OSError, SMTPException."""
        timeout = get_settings().vendor_timeout_s
        if self._security == TLS:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                self._host, self._port, timeout=timeout, local_hostname="localhost", context=ssl.create_default_context()
            )
        else:
            connection = smtplib.SMTP(self._host, self._port, timeout=timeout, local_hostname="localhost")
        try:
            self._sign_in(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _sign_in(self, connection: smtplib.SMTP) -> None:
        connection.ehlo()
        if self._security == STARTTLS:
            if not connection.has_extn("starttls"):
                raise SmtpRefused(
                    "The mail server offers no encryption.", "Choose tls, which is mostly on port 465, or another server."
                )
            connection.starttls(context=ssl.create_default_context())
            connection.ehlo()
        if not self._user:
            return
        try:
            connection.login(self._user, self._password)
        except smtplib.SMTPAuthenticationError as error:
            if 400 <= error.smtp_code < 500:
                raise refused("the sign-in for now", error.smtp_code, _bytes(error.smtp_error)) from None
            raise SmtpRefused(
                "The mail server does not accept the user or the password.", "Enter them again under Connections.",
                status=error.smtp_code,
            ) from None  # fmt: skip


class _Call:
    """One call in a thread of its own, so that its deadline holds however slowly the server talks."""

    def __init__(self, server: MailServer, mail: Mail | None) -> None:
        self._server, self._mail = server, mail
        self._connection: smtplib.SMTP | None = None
        self._over = threading.Lock()
        self._given_up = False
        self._ended = False  # the dot that ends the message may have left
        self._outcome: str | Exception | None = None

    def run(self) -> str:
        thread = threading.Thread(target=self._work, name="smtp-call", daemon=True)
        thread.start()
        thread.join(get_settings().vendor_deadline_s)
        with self._over:
            self._given_up = True  # from here on the dot can't leave any more
            outcome, ended = self._outcome, self._ended
        if outcome is None:
            self._hang_up()
            outcome = _no_answer("did not answer in time") if ended else _not_reached("did not answer in time")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _work(self) -> None:
        try:
            self._outcome = self._deliver()
        except (SmtpRefused, NoAnswer) as error:
            self._outcome = error
        except ssl.SSLCertVerificationError:
            self._outcome = SmtpRefused("The mail server's certificate is not valid.", "Check its host name under Connections.")
        except (smtplib.SMTPNotSupportedError, UnicodeError):
            self._outcome = SmtpRefused("The mail server can't do what this mail or account needs.", "Use another server.")
        except Exception as error:  # noqa: BLE001 - what a broken connection throws; what it means is known by how far it got
            why = f"broke off ({type(error).__name__})"
            self._outcome = _no_answer(why) if self._ended else _not_reached(why)
        finally:
            self._hang_up()

    def _deliver(self) -> str:
        connection = self._connection = self._server.opened()
        mail = self._mail
        if mail is None:
            return "signed in"
        options = ("SMTPUTF8", "BODY=8BITMIME") if mail.utf8 else ()
        if mail.utf8 and not connection.has_extn("smtputf8"):
            raise SmtpRefused("The mail server can't write to addresses with such letters.", "Use another address.")
        _expect(connection.mail(mail.sender, options), _TAKEN, "the sender")
        _expect(connection.rcpt(mail.recipient), _TAKEN, "the recipient")
        _expect(connection.docmd("DATA"), _READY, "the mail")
        connection.send(_dotted(mail.data))
        with self._over:
            if self._given_up:
                raise SmtpRefused("Too late.")  # nobody hears it: the deadline has passed
            self._ended = True
        connection.send(b".\r\n")
        code, said = connection.getreply()
        if code == _CLOSING or not 200 <= code < 600:  # going down, or no reply of a mail server
            raise _no_answer(f"answered {code}")
        _expect((code, said), _TAKEN, "the mail")
        with contextlib.suppress(Exception):
            connection.quit()
        return f"{code} {said.decode('utf-8', 'replace')}"[:200]

    def _hang_up(self) -> None:
        connection = self._connection
        if connection is None:
            return
        with contextlib.suppress(Exception):
            if connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
        with contextlib.suppress(Exception):
            connection.close()


def _bytes(said: bytes | str) -> bytes:
    return said.encode() if isinstance(said, str) else said


def _expect(reply: tuple[int, bytes], code: int, step: str) -> None:
    if reply[0] // 10 != code // 10:
        raise refused(step, reply[0], reply[1])


def _dotted(data: bytes) -> bytes:
    """With a second dot before each line that begins with one, and a line end at the end."""
    data = data if data.endswith(b"\r\n") else data + b"\r\n"
    return (b"." if data.startswith(b".") else b"") + data.replace(b"\r\n.", b"\r\n..")


def _not_reached(why: str) -> SmtpRefused:
    return SmtpRefused(f"The mail server {why} before it had the mail.", "It is tried again by itself.", retryable=True)


def _no_answer(why: str) -> NoAnswer:
    return NoAnswer(f"The mail server {why} after it had the mail.", "Look at the server's log, or ask the recipient.")
