"""The admin plane over HTTP: who may ask, by the commands and by others."""

import http.client
import json
import os
import time

import pytest

import wire
from conftest import Router

TOKEN = "0123456789abcdef0123456789abcdef"


def ask(made, path, method="GET", body=None, **headers):
    """(status, headers, body) of one request to the admin plane; header names are written with _ for -."""
    connection = http.client.HTTPConnection(made.admin, timeout=wire.WAIT_SECONDS)
    try:
        connection.request(method, path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def token_file(folder, text=TOKEN, mode=0o600):
    path = folder / "token"
    path.touch(mode)
    path.chmod(mode)
    path.write_text(text + "\n")
    return path


def test_errors_are_json_and_say_what_there_is(router):
    made = router()
    status, headers, body = ask(made, "/v1/nothing")
    assert status == 404 and headers["Content-Type"] == "application/json"
    found = json.loads(body)
    assert found["error"] == "not_found" and "GET /metrics" in found["endpoints"]
    status, headers, body = ask(made, "/metrics", "POST")
    assert (status, headers["Allow"], json.loads(body)["error"]) == (405, "GET, HEAD", "method_not_allowed")


CONFIG = """listen: {{ native: "127.0.0.1:0", admin: "{admin}", ingest: off, public: true, admin_token_file: token }}
spokes: spokes.d
logs: {{ data: 8MiB }}
"""


@pytest.fixture
def secret_router(body, tmp_path):
    """A router that asks for TOKEN; its file is `token` in its folder."""
    (tmp_path / "r" / "spokes.d").mkdir(parents=True)
    token_file(tmp_path / "r")
    made = Router(tmp_path / "r", CONFIG.format(admin="0.0.0.0:0"), ["--io", body, "--shards", "1"])
    made.admin = made.admin.replace("0.0.0.0", "127.0.0.1")
    try:
        yield made
        made.stop()
    finally:
        made.kill()


def test_a_token_is_asked_for_and_the_commands_send_it(secret_router, run, tmp_path):
    made, secret = secret_router, tmp_path / "r" / "token"
    assert ask(made, "/healthz")[0] == 200
    status, headers, body = ask(made, "/v1/spokes")
    assert status == 401 and headers["WWW-Authenticate"] == 'Bearer realm="roundhouse"' and "token" in json.loads(body)["message"]
    assert ask(made, "/v1/spokes", Authorization=f"Bearer {TOKEN}")[0] == 200
    assert ask(made, "/v1/spokes", Authorization=f"Bearer {TOKEN[:-1]}x")[0] == 401

    done = run("spokes", "ls", "--admin", made.admin)
    assert done.returncode == 69 and "--token-file names the file" in done.stderr
    assert run("spokes", "ls", "--admin", made.admin, "--token-file", secret).returncode == 0
    environment = {**os.environ, "ROUNDHOUSE_ADMIN_TOKEN_FILE": str(secret)}
    assert run("spokes", "apply", "--admin", made.admin, env=environment).returncode == 0
    secret.chmod(0o644)
    done = run("spokes", "ls", "--admin", made.admin, "--token-file", secret)
    assert done.returncode == 69 and "chmod 600" in done.stderr and TOKEN not in done.stderr


def test_a_token_is_replaced_while_the_router_runs(secret_router, tmp_path):
    other = token_file(tmp_path, "another-token-another-token")
    os.rename(other, tmp_path / "r" / "token")
    end = time.monotonic() + wire.WAIT_SECONDS
    while ask(secret_router, "/v1/spokes", Authorization="Bearer another-token-another-token")[0] != 200:
        assert time.monotonic() < end, "the new token is not taken"
        time.sleep(0.1)
    assert ask(secret_router, "/v1/spokes", Authorization=f"Bearer {TOKEN}")[0] == 401


@pytest.mark.parametrize("text, mode, part", [(None, None, "No such file"), (TOKEN, 0o640, "chmod 600"), ("short", 0o600, "16 characters")])
def test_without_a_usable_token_nothing_starts(run, tmp_path, text, mode, part):
    config = tmp_path / "c.yaml"
    config.write_text(CONFIG.format(admin="127.0.0.1:0"))
    if text is not None:
        token_file(tmp_path, text, mode)
    done = run("serve", "--config", config)
    assert done.returncode == 78 and done.stdout == ""
    assert "listen.admin_token_file: the token in" in done.stderr and part in done.stderr


def test_other_machines_need_a_token(run):
    done = run("serve", "--admin", "0.0.0.0:0")
    assert done.returncode == 64 and "public: true" in done.stderr


def test_a_page_of_another_site_is_refused(router):
    made = router()
    status, _, body = ask(made, "/v1/spokes", Host="evil.example:4480")
    assert status == 403 and json.loads(body)["error"] == "foreign_host"
    status, _, body = ask(made, "/v1/spokes/apply", "POST", Origin="http://evil.example")
    assert status == 403 and json.loads(body)["error"] == "foreign_origin"
    assert made.metric("roundhouse_admin_refused_total") == 2
