"""Ports and folders of the local stack, from environment variables."""

from __future__ import annotations

import platform
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
REGION = "eu-west-1"
STACK_NAME = "servelo"
PASSWORD = "Servelo-demo-1"  # printed at start, good on this machine only


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What `make run` can be told.

    Attributes:
        smtp_port: takes mail as SES would (``SERVELO_SMTP_PORT``).
        http_port: portal and API (``SERVELO_HTTP_PORT``).
        mailbox_port: mails that went out, as pages (``SERVELO_MAILBOX_PORT``).
        submission_port: a tenant's SMTP server, STARTTLS (``SERVELO_SUBMISSION_PORT``).
        smtps_port: the same with implicit TLS (``SERVELO_SMTPS_PORT``).
        aws_port: the local AWS (``SERVELO_AWS_PORT``).
        ses_port: the sending half of SES (``SERVELO_SES_PORT``).
        data_dir: mailbox, logs, certificates, the local AWS's files (``SERVELO_DATA_DIR``).
    """

    data_dir: Path
    smtp_port: int = 2525
    http_port: int = 8080
    mailbox_port: int = 8025
    submission_port: int = 2587
    smtps_port: int = 2465
    aws_port: int = 4566
    ses_port: int = 4567
    mail_domain: str = "serveloapp.com"
    operator_inbox: str = "operator@serveloapp.example"

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> LocalSettings:
        """Return the settings that *environ* asks for.

        Raises:
            ValueError: a port is not a number from 1 to 65535; the message names the variable.
        """

        def port(name: str, default: int) -> int:
            text = environ.get(name, "").strip() or str(default)
            if not text.isdecimal() or not 0 < int(text) < 65536:
                raise ValueError(f"{name} must be a port from 1 to 65535, not {text!r}")
            return int(text)

        return cls(
            data_dir=Path(environ.get("SERVELO_DATA_DIR") or ROOT / ".local").absolute(),
            smtp_port=port("SERVELO_SMTP_PORT", 2525),
            http_port=port("SERVELO_HTTP_PORT", 8080),
            mailbox_port=port("SERVELO_MAILBOX_PORT", 8025),
            submission_port=port("SERVELO_SUBMISSION_PORT", 2587),
            smtps_port=port("SERVELO_SMTPS_PORT", 2465),
            aws_port=port("SERVELO_AWS_PORT", 4566),
            ses_port=port("SERVELO_SES_PORT", 4567),
        )

    @classmethod
    def on_free_ports(cls, data_dir: Path) -> LocalSettings:
        """Return settings for a stack beside any other, as tests want it."""
        sockets = [socket.socket() for _ in range(7)]
        try:
            for each in sockets:
                each.bind((HOST, 0))
            ports = [each.getsockname()[1] for each in sockets]
        finally:
            for each in sockets:
                each.close()
        return cls(data_dir, *ports)

    @property
    def ports(self) -> dict[str, int]:
        return {
            "SERVELO_SMTP_PORT": self.smtp_port,
            "SERVELO_HTTP_PORT": self.http_port,
            "SERVELO_MAILBOX_PORT": self.mailbox_port,
            "SERVELO_SUBMISSION_PORT": self.submission_port,
            "SERVELO_SMTPS_PORT": self.smtps_port,
            "SERVELO_AWS_PORT": self.aws_port,
            "SERVELO_SES_PORT": self.ses_port,
        }

    @property
    def mailbox_dir(self) -> Path:
        return self.data_dir / "mailbox"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def portal_url(self) -> str:
        return f"http://{HOST}:{self.http_port}"

    @property
    def mailbox_url(self) -> str:
        return f"http://{HOST}:{self.mailbox_port}"

    @property
    def aws_url(self) -> str:
        # TLS, because the policies of topics and queues refuse anything else.
        return f"https://{HOST}:{self.aws_port}"

    @property
    def ses_url(self) -> str:
        return f"http://{HOST}:{self.ses_port}"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that runs the functions here; the layer is built for it."""

    python: Path = field(default=ROOT / ".venv" / "aws" / "bin" / "python")

    @property
    def version(self) -> str:
        return f"{sys.version_info.major}.{sys.version_info.minor}"

    @property
    def architecture(self) -> str:
        """Lambda's name of this machine's processor."""
        return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
