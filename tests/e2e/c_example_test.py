"""The C examples do what their README says, built on the client library as a program outside would be."""

import os
import signal
import subprocess

import pytest

import conftest

BUILD = os.environ.get("RH_BUILD", os.path.dirname(conftest.BINARY))
PUBLISH = os.path.join(BUILD, "examples", "publish")
SUBSCRIBE = os.path.join(BUILD, "examples", "subscribe")


@pytest.fixture
def subscriber():
    """A function that starts the subscriber and waits until it is subscribed."""
    programs = []

    def start(*arguments):
        program = subprocess.Popen([SUBSCRIBE, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        programs.append(program)
        assert program.stdout.readline() == "subscribed\n", program.stderr.read()
        return program

    yield start
    for program in programs:
        if program.poll() is None:
            program.kill()
        program.communicate()


def publish(*arguments):
    return subprocess.run([PUBLISH, *map(str, arguments)], capture_output=True, text=True, timeout=60)


def test_what_one_publishes_the_other_prints(router, subscriber):
    made = router(shards=2)
    printing = subscriber(made.address, 400, "hello.*", "other")
    long = "x" * 300
    assert publish(made.address, "hello.world", long, 300).returncode == 0
    assert publish(made.address, "not.this", "no").returncode == 0
    assert publish(made.address, "other", "", 100).returncode == 0
    output, errors = printing.communicate(timeout=30)
    lines = output.splitlines()
    assert printing.returncode == 0, errors
    assert lines.count(f"hello.world {long}") == 300 and lines.count("other ") == 100 and len(lines) == 400


def test_a_refused_event_is_told(router):
    made = router()
    done = publish(made.address, "a..b", "x", 2)
    assert done.returncode == 1 and "event 1 refused" in done.stderr and "event 2 refused" in done.stderr


@pytest.mark.parametrize("arguments", [[PUBLISH, "127.0.0.1:1", "a", "x", "many"], [PUBLISH, "127.0.0.1:1", "a", "x", ""],
                                       [SUBSCRIBE, "127.0.0.1:1", "a", "b"], [SUBSCRIBE, "127.0.0.1:1", "0", "b"]])
def test_a_count_that_is_none_is_told(arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 64 and "COUNT is a number" in done.stderr


def test_nobody_there_is_told(body):
    done = publish("127.0.0.1:1", "a", "x")
    assert done.returncode == 1 and "Connection refused" in done.stderr


def test_the_subscriber_comes_again_after_a_restart(router, subscriber, tmp_path):
    made = router(config_text="")
    printing = subscriber(made.address, 2, "a")
    assert publish(made.address, "a", "one").returncode == 0
    made.signal(signal.SIGTERM)
    assert made.wait() == 0
    again = router(config_text="", arguments=["--listen", made.address])
    assert again.address == made.address
    assert printing.stdout.readline() == "a one\n"
    assert printing.stdout.readline() == "subscribed\n"
    assert publish(again.address, "a", "two").returncode == 0
    output, errors = printing.communicate(timeout=30)
    assert printing.returncode == 0 and output == "a two\n", errors


@pytest.fixture
def background(begun):
    """A function that starts an example and waits for its first line."""
    return lambda first, name, *arguments: begun(first, os.path.join(BUILD, "examples", name), *arguments)


def test_the_consumer_goes_on_where_it_has_acknowledged(router, background):
    made = router(shards=2)
    first = background("subscribed\n", "consume", "--volatile", made.address, "q", 2, "a.>")
    assert publish(made.address, "a.b", "x", 5).returncode == 0
    output, errors = first.communicate(timeout=30)
    assert first.returncode == 0 and output.count("a.b ") == 2, errors
    second = background("subscribed\n", "consume", "--volatile", made.address, "q", 3)
    output, errors = second.communicate(timeout=30)
    assert second.returncode == 0 and output.count("a.b ") == 3, errors
    held = background("subscribed\n", "consume", "--volatile", made.address, "q", 1)
    refused = subprocess.run([os.path.join(BUILD, "examples", "consume"), "--volatile", made.address, "q", "1"],
                             capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1 and "holds this queue" in refused.stderr
    assert held.poll() is None


def test_a_request_is_answered_or_refused(router, background):
    made = router(shards=2)
    background("answering\n", "request", made.address, "--answer", "@oracle")
    program = os.path.join(BUILD, "examples", "request")
    done = subprocess.run([program, made.address, "@oracle", "rain?"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stdout.startswith("a reply of"), done.stderr
    done = subprocess.run([program, made.address, "@nobody", "rain?"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and "no mailbox" in done.stderr
