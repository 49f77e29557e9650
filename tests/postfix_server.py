"""Postfix with Cyrus SASL on loopback: an SMTP server, a TLS stack and a login that are not ours.

Needs root and Debian's packages:

    apt-get install --no-install-recommends -y postfix sasl2-bin libsasl2-modules
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.smtp_servers import Authority, free_port

POSTFIX = shutil.which("postfix", path="/usr/sbin:/usr/bin:/sbin")
SASLPASSWD = shutil.which("saslpasswd2", path="/usr/sbin:/usr/bin:/sbin")
INSTALLED = bool(POSTFIX and SASLPASSWD and hasattr(os, "geteuid") and os.geteuid() == 0)

USER = "desk"
REALM = "acme.example"
PASSWORD = "canary-Pa55"
MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
mail_owner = postfix
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
myhostname = localhost
mydestination =
alias_maps =
local_recipient_maps =
notify_classes =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = example.org
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
smtpd_tls_chain_files = {folder}/good.pem
smtpd_sasl_auth_enable = yes
smtpd_tls_auth_only = yes
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = {realm}
smtpd_sender_login_maps = inline:{{ {{ desk@acme.example = desk@acme.example }} }}
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_reject_unlisted_recipient = no
message_size_limit = 20000
"""
MASTER = """\
127.0.0.1:{starttls} inet n - n - - smtpd -o smtpd_tls_security_level=encrypt
127.0.0.1:{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
anvil unix - - n - 1 anvil
virtual unix - n n - - virtual
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    def __init__(self, folder: Path, starttls: int, implicit: int) -> None:
        self.folder = folder
        self.starttls = starttls
        self.implicit = implicit

    def mails(self, count: int) -> list[bytes]:
        """Return the mails in the mailbox once there are *count*: Postfix delivers after it answers."""
        box = self.folder / "mail" / "box" / "new"
        for _ in range(200):
            found = sorted(box.glob("*")) if box.is_dir() else []
            if len(found) >= count:
                break
            time.sleep(0.05)
        return [file.read_bytes() for file in found]


@contextlib.contextmanager
def running(authority: Authority) -> Iterator[Postfix]:
    """Run Postfix with a certificate of *authority*; USER@REALM and PASSWORD sign in."""
    # Not in pytest's own folder: Postfix's users must be able to walk to it.
    folder = Path(tempfile.mkdtemp(prefix="servelo-postfix-"))
    folder.chmod(0o755)
    server = Postfix(folder, free_port(), free_port())
    for name in ("queue", "data", "mail", "etc", "etc/sasl"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    shutil.chown(folder / "mail", "postfix", "postfix")
    owner = (folder / "mail").stat()
    (folder / "good.pem").write_bytes((authority.file.parent / "good.pem").read_bytes())
    values = {"folder": folder, "uid": owner.st_uid, "gid": owner.st_gid, "realm": REALM}
    (folder / "etc" / "main.cf").write_text(MAIN.format(**values))
    (folder / "etc" / "master.cf").write_text(
        MASTER.format(starttls=server.starttls, implicit=server.implicit)
    )
    database = folder / "etc" / "sasl" / "sasldb2"
    (folder / "etc" / "sasl" / "smtpd.conf").write_text(
        f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {database}\nmech_list: PLAIN LOGIN\n"
    )
    subprocess.run(
        [SASLPASSWD, "-p", "-c", "-f", database, "-u", REALM, USER], input=PASSWORD.encode(), check=True
    )
    shutil.chown(database, "postfix")
    command = [POSTFIX, "-c", folder / "etc"]
    subprocess.run([*command, "start"], check=True, capture_output=True, timeout=60)
    try:
        yield server
    finally:
        subprocess.run([*command, "stop"], check=False, capture_output=True, timeout=60)
        shutil.rmtree(folder, ignore_errors=True)
