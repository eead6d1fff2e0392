"""What docs/WEBHOOKS.md tells receivers to run accepts what the router signs, and nothing else."""

import hashlib
import hmac
import pathlib
import re
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/WEBHOOKS.md").read_text()
# As tests/unit/core/transport/webhook_request_test.c has it on the wire.
SECRET, BODY = b"key-of-the-test", b'{"n":1}'
SIGNATURE = re.search(r'"(sha256=[0-9a-f]{64})', (ROOT / "tests/unit/core/transport/webhook_request_test.c").read_text())[1]


def block(language):
    return re.search(rf"```{language}\n(.*?)```", TEXT, re.S)[1]


def test_the_shell_example_prints_the_signature(tmp_path):
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    (tmp_path / "body").write_bytes(BODY)
    done = subprocess.run(["sh", "-c", block("sh")], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == SIGNATURE


def test_the_python_example_tells_true_from_false():
    names = {}
    exec(block("python"), names)  # pylint: disable=exec-used
    is_genuine = names["is_genuine"]
    assert is_genuine(SECRET, BODY, SIGNATURE)
    assert not is_genuine(SECRET, BODY + b" ", SIGNATURE)
    assert not is_genuine(SECRET + b"x", BODY, SIGNATURE)
    assert not is_genuine(SECRET, BODY, "sha256=" + "0" * 64)
    assert not is_genuine(SECRET, BODY, "")
    assert not is_genuine(SECRET, BODY, "sha256=\u00e4")
    assert not is_genuine(SECRET, BODY, SIGNATURE, timestamp=str(int(time.time())))


def test_the_python_example_takes_a_signed_time_only_while_it_is_new():
    names = {}
    exec(block("python"), names)  # pylint: disable=exec-used
    is_genuine = names["is_genuine"]
    for age, genuine in ((0, True), (100, True), (1000, False), (-1000, False)):
        stamp = str(int(time.time()) - age)
        signature = "sha256=" + hmac.new(SECRET, stamp.encode() + b"." + BODY, hashlib.sha256).hexdigest()
        assert is_genuine(SECRET, BODY, signature, timestamp=stamp) is genuine
    assert not is_genuine(SECRET, BODY, SIGNATURE, timestamp="now")
