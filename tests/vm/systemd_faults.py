"""The systemd driver when something is wrong: no bus, a mute one, a killed runtime."""
import contextlib
import json
import os
import socket
import subprocess
import threading
import time

from systemd_box import (CORACLE, MIB, PLACE, Box, Skip, equal, loaded, need, run, show, test,
                         until)

OPTIONS = {"faultstep": None, "kill_points": []}


# ---- faults --------------------------------------------------------------------------------------

class Mute:
    """A bus that lets everybody connect and says nothing."""

    def __init__(self, path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        self.address = "unix:path=" + path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)


class Forwarder(Mute):
    """The way to systemd's own socket, until it is cut, or until a word passes: then nothing comes
    back any more, but the connection stays."""

    def __init__(self, folder, silent_after=None):
        os.makedirs(folder + "/systemd", exist_ok=True)
        super().__init__(folder + "/systemd/private")
        self.word, self.silent = silent_after, False
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect("/run/systemd/private")
                threading.Thread(target=self.forth, args=(client, server), daemon=True).start()
                threading.Thread(target=self.back, args=(server, client), daemon=True).start()

    def forth(self, client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                self.silent = self.silent or bool(self.word and self.word in data)
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def back(self, server, client):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not self.silent:
                    client.sendall(data)
            if not self.silent:
                client.shutdown(socket.SHUT_WR)

    def cut(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@test("no bus: create says so and leaves nothing")
def _():
    box = Box()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}).fails(
        "cannot reach systemd", "unix:path=/nonexistent", "--cgroup-manager cgroupfs")
    box.gone()


@test("a mute bus: create gives up by itself, and nothing is left")
def _():
    mute = Mute(PLACE + "/mute")
    box = Box()
    begin = time.monotonic()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": mute.address}, timeout=120).fails("no answer in time")
    need(time.monotonic() - begin < 60, "took %d s" % (time.monotonic() - begin))
    box.gone()


@test("a bus that falls silent in the middle: an error in time, and nothing is left")
def _():
    way = Forwarder(PLACE + "/way", silent_after=b"StartTransientUnit")
    box = Box()
    begin = time.monotonic()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}, timeout=120).fails("in time")
    need(time.monotonic() - begin < 60, "took %d s" % (time.monotonic() - begin))
    box.gone()
    way.cut()
    box = Box()
    way = Forwarder(PLACE + "/way", silent_after=b"SetUnitProperties")
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}).ok()
    result = run(CORACLE, "update", "--pids-limit", "17", box.id, timeout=120)
    # The cgroup has it; that systemd may set it back is said.
    need(result.status != 0 or "in time" in result.text, "silence is no success: " + result.text)
    box.delete()


@test("delete works with a bus that is gone, and with a mute one")
def _():
    way = Forwarder(PLACE + "/way")
    box = Box()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}).ok()
    box.do("start").ok()
    pid = box.state()["pid"]
    way.cut()
    result = box.do("delete", "--force", env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}).ok()
    need("is not told to stop" in result.err, result.text)
    need(not os.path.exists("/proc/%d" % pid), "the container still runs")
    box.gone()

    way = Forwarder(PLACE + "/way")
    box = Box()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}).ok()
    way.cut()
    mute = Mute(PLACE + "/way/systemd/private")
    begin = time.monotonic()
    box.do("delete", "--force", env={"DBUS_SYSTEM_BUS_ADDRESS": mute.address}, timeout=120).ok()
    need(time.monotonic() - begin < 60, "took %d s" % (time.monotonic() - begin))
    box.gone()


@test("the recorded bus is gone, but systemd is not: delete and update find it")
def _():
    way = Forwarder(PLACE + "/way")
    box = Box()
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": way.address}).ok()
    way.cut()
    run(CORACLE, "update", "--pids-limit", "17", box.id).ok()
    equal("17", show(box.unit, "TasksMax"))
    equal("", box.do("delete", "--force").ok().err)
    box.gone()


@test("over the system bus as well")
def _():
    address = "unix:path=/run/dbus/system_bus_socket"
    if not os.path.exists(address.split("=")[1]):
        raise Skip("no system bus")
    box = Box(memory={"limit": 64 * MIB})
    box.make(env={"DBUS_SYSTEM_BUS_ADDRESS": address}).ok()
    with open("/run/coracle/%s/state.json" % box.id) as file:
        equal(address, json.load(file)["systemdBus"])
    equal(str(64 * MIB), show(box.unit, "MemoryMax"))
    run(CORACLE, "update", "--memory", "80M", box.id).ok()
    equal(str(80 * MIB), show(box.unit, "MemoryMax"))
    box.delete()


@test("create killed at any call: delete --force leaves nothing, and so does systemd alone")
def _():
    if not OPTIONS["faultstep"]:
        raise Skip("no --faultstep")
    for number in OPTIONS["kill_points"]:
        box = Box()
        box.write()
        result = run(OPTIONS["faultstep"], "-n", str(number), "-k", "-t", "200", "--", CORACLE,
                     "--systemd-cgroup", "create", "--bundle", box.bundle, box.id)
        if number % 2:
            until(lambda: not loaded(box.unit) or result.status == 0, "the scope's own end, killed "
                  "at call %d" % number)
        run(CORACLE, "delete", "--force", box.id).ok()
        box.gone()


@test("many at a time")
def _():
    boxes = [Box() for _ in range(8)]
    for box in boxes:
        box.write()
    for verb in (["--systemd-cgroup", "create", "--bundle"], ["start"], ["delete", "--force"]):
        children = []
        for box in boxes:
            words = verb + ([box.bundle] if verb[-1] == "--bundle" else []) + [box.id]
            children.append(subprocess.Popen([CORACLE] + words, stdin=subprocess.DEVNULL,
                                             stdout=subprocess.DEVNULL))
        equal([0] * len(boxes), [child.wait(300) for child in children], verb[0])
    for box in boxes:
        box.gone()
