import hashlib
import json
import socket
import ssl
import time
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.controller import Controller

from core.integrations.smtp import check as smtp
from core.integrations.smtp.client import MailServer
from core.integrations.smtp.errors import SmtpRefused
from core.integrations.smtp.message import mime
from tests.core.integrations.matrix import DONE, LATER, REFUSED, UNCLEAR, outcome
from tests.fakeworld.smtp import PASSWORD, USER

AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BODY = {
    "from": "ManageAI <ops@manageai.example>", "to": ["nora@northwind.example"], "subject": "Größe & more",
    "text": "Hello\n.\n..two\nFrom here\n" + "long " * 300, "html": "<p>Hello</p>",
    "headers": {"Message-ID": "<k1@manageai.example>", "List-Unsubscribe": f"<https://ops.example/u/{'x' * 200}>"},
}  # fmt: skip
WIRE = json.dumps(BODY).encode()


@pytest.fixture
def server(world):
    return smtp.server(world.smtp.config, PASSWORD)


BEFORE = [  # the recipient is refused or the connection breaks before the message: certainly not sent
    ("smtp.rcpt", "reject_before", REFUSED), ("smtp.rcpt", "429", LATER), ("smtp.rcpt", "529", LATER),
    ("smtp.rcpt", "drop_before", LATER), ("smtp.rcpt", "hang", LATER), ("smtp.rcpt", "slow:5", LATER),
]  # fmt: skip
AFTER = [
    ("smtp.data", "ok", DONE), ("smtp.data", "slow:0.05", DONE), ("smtp.data", "reject_before", REFUSED),
    ("smtp.data", "429", LATER), ("smtp.data", "529", UNCLEAR), ("smtp.data", "apply_then_drop", UNCLEAR),
    ("smtp.data", "drop_before", UNCLEAR), ("smtp.data", "apply_then_500", UNCLEAR), ("smtp.data", "malformed", UNCLEAR),
    ("smtp.data", "huge", UNCLEAR), ("smtp.data", "hang", UNCLEAR), ("smtp.data", "slow:5", UNCLEAR),
]  # fmt: skip


@pytest.mark.parametrize(("endpoint", "mode", "expected"), BEFORE + AFTER)
def test_how_far_it_got_decides_what_it_means(world, quick, server, endpoint, mode, expected):
    world.mode(endpoint, mode)
    started = time.monotonic()
    assert outcome(lambda: server.send(mime(WIRE, AT))) == expected
    assert time.monotonic() - started < 10
    sent = world.applied("smtp.data")
    assert len(world.called("smtp.data")) <= 1
    assert not (sent and expected in (REFUSED, LATER)), "a refusal that was applied is a double mail"
    if endpoint == "smtp.rcpt":
        assert not sent


def test_the_message_arrives_as_it_was_made_from_the_approved_bytes(world, server):
    mail = mime(WIRE, AT)
    server.send(mail)
    (call,) = world.applied("smtp.data")
    assert call["body_sha256"] == hashlib.sha256(mail.data).hexdigest()
    assert call["key"] == "k1"
    read = message_from_bytes(mail.data, policy=default)
    assert read["subject"] == BODY["subject"]
    assert read.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip("\n") == BODY["text"]
    assert mime(WIRE, AT) == mail, "the same bytes and date are the same mail"


def test_the_one_click_header_is_readable_as_it_stands(server):
    head = mime(WIRE, AT).data.split(b"\r\n\r\n")[0].decode()
    assert f"\r\nList-Unsubscribe: {BODY['headers']['List-Unsubscribe']}\r\n" in head
    assert "=?" not in head.split("List-Unsubscribe")[1].split("\r\n")[0]


@pytest.mark.parametrize(
    "over",
    [{"subject": "a\r\nBcc: evil@x.example"}, {"subject": "a\nb"}, {"headers": {"X": "a\r\nBcc: evil@x.example"}},
     {"to": ["a@x.example", "b@x.example"]}, {"to": []}, {"cc": ["b@x.example"]}, {"bcc": ["b@x.example"]},
     {"to": ["a@x.example, b@x.example"]}, {"to": ["a@x.example\r\nRCPT TO:<b@x.example>"]}],
)  # fmt: skip
def test_nothing_can_be_slipped_into_a_mail(world, server, over):
    with pytest.raises(SmtpRefused):
        server.send(mime(json.dumps(BODY | over).encode(), AT))
    assert not world.calls


def test_an_unknown_recipient_and_a_wrong_password_are_refused_for_good(world, server):
    world.smtp.unknown.add("nora@northwind.example")
    assert outcome(lambda: server.send(mime(WIRE, AT))) == REFUSED
    wrong = smtp.server(world.smtp.config, "wrong")
    with pytest.raises(SmtpRefused, match="does not accept the user or the password"):
        wrong.send(mime(WIRE, AT))
    assert not world.applied()


def test_no_server_there(quick):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert outcome(lambda: MailServer("127.0.0.1", port, "none", "", "").send(mime(WIRE, AT))) == LATER


def test_a_password_never_travels_in_the_open(world):
    with pytest.raises(SmtpRefused, match="offers no encryption"):
        smtp.check(world.smtp.config | {"security": "starttls"}, PASSWORD)
    with pytest.raises(SmtpRefused, match="needs encryption"):
        MailServer("smtp.example.com", 25, "none", USER, PASSWORD)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_with_a_certificate_of_its_own_making_gets_no_password(quick, tmp_path, security):
    """Somebody in the middle can have one as well."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_certificate(tmp_path))
    seen: list[str] = []

    class Handler:
        async def handle_DATA(self, _server, _session, _envelope):
            seen.append("mail")
            return "250 OK"

    extra = {"ssl_context": context} if security == "tls" else {"tls_context": context}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port, **extra)
    if security == "tls":
        controller._trigger_server = lambda: _knock(port, controller)  # type: ignore[method-assign]
    controller.start()
    try:
        with pytest.raises(SmtpRefused, match="certificate"):
            MailServer("127.0.0.1", port, security, USER, PASSWORD).send(mime(WIRE, AT))
    finally:
        controller.stop(no_assert=True)
    assert not seen


def _knock(port, controller):
    context = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", port), 2) as plain, context.wrap_socket(plain) as wrapped:
        wrapped.recv(100)


def _certificate(folder):
    from datetime import timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


def test_the_test_button_sends_nothing(world):
    assert smtp.check(world.smtp.config, PASSWORD) == "Works: signed in at 127.0.0.1."
    with pytest.raises(SmtpRefused, match="host or port"):
        smtp.check({"port": 25}, PASSWORD)
    assert not world.calls
