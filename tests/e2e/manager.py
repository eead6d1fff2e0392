"""A service manager as systemd is one, as far as a router knows it: a notify socket with a store of descriptors, the variables
of a watchdog, and starts with the sockets of the store (sd_notify(3), sd_listen_fds(3))."""

import os
import socket
import time

WAIT_SECONDS = 60
FIRST_FD = 3


class Manager:
    def __init__(self, folder, watchdog_us=None):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.bind(self.path)
        self.socket.settimeout(WAIT_SECONDS)
        self.watchdog_us, self.told, self.store = watchdog_us, [], []

    def close(self):
        self.socket.close()
        for _, fd in self.store:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- what the router says ---

    def take(self, seconds=WAIT_SECONDS):
        """The next message as a dictionary; None when none comes in time."""
        self.socket.settimeout(max(seconds, 0.001))
        try:
            text, fds, _, _ = socket.recv_fds(self.socket, 4096, 16)
        except (TimeoutError, BlockingIOError):
            return None
        message = dict(line.split("=", 1) for line in text.decode().splitlines())
        self.told.append(message)
        if message.get("FDSTORE") == "1":
            self.store += [(message["FDNAME"], fd) for fd in fds]
        elif message.get("FDSTOREREMOVE") == "1":
            for name, fd in [item for item in self.store if item[0] == message["FDNAME"]]:
                os.close(fd)
                self.store.remove((name, fd))
        else:
            assert not fds
        return message

    def until(self, key):
        """Reads to the first message with the key; returns it."""
        end = time.monotonic() + WAIT_SECONDS
        while (left := end - time.monotonic()) > 0:
            message = self.take(left)
            if message and key in message:
                return message
        raise AssertionError(f"no {key} is told, only {self.told}")

    def all(self):
        """What has been told up to here."""
        found = []
        while (message := self.take(0.001)) is not None:
            found.append(message)
        return found

    # --- how it starts one ---

    def preexec(self):
        """For Popen: the environment, and the stored sockets as descriptors 3 and up. Runs in the child."""
        store = [fd for _, fd in self.store]

        def prepare():
            os.environ["NOTIFY_SOCKET"] = self.path
            if self.watchdog_us:
                os.environ["WATCHDOG_USEC"] = str(self.watchdog_us)
                os.environ["WATCHDOG_PID"] = str(os.getpid())
            if store:
                high = [os.dup(fd) for fd in store]
                while min(high) < FIRST_FD + len(store):
                    high = [os.dup(fd) for fd in high]
                for number, fd in enumerate(high):
                    os.dup2(fd, FIRST_FD + number)
                os.environ["LISTEN_FDS"] = str(len(store))
                os.environ["LISTEN_PID"] = str(os.getpid())
                os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _ in self.store)

        return prepare, tuple(range(FIRST_FD, FIRST_FD + len(store)))
