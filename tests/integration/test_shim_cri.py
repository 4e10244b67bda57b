#!/usr/bin/env python3
"""The shim under containerd's CRI plugin: a kubelet's calls, pods in the host's network."""
import os
import signal

import cri
import harness as h
from containerd import Containerd
from shim import dec, enc, one, text


class Node:
    """A containerd with CRI, and a kubelet."""

    def __init__(self, c):
        cri.python()  # before there is something to be taken away
        self.d, self.c = Containerd(c, cri=True), c
        os.makedirs(c.path("pod-logs"), exist_ok=True)
        self.kubelet = cri.Kubelet(self.d.socket, c.path("pod-logs"))

    def __enter__(self):
        h.until(self.kubelet.is_ready, "CRI to answer", 30)
        return self.d, self.kubelet

    def __exit__(self, *_):
        self.kubelet.close()
        self.d.__exit__()


def is_emptied(place):
    """What a killed shim leaves containerd has removed by `delete`, for which CRI does not wait."""
    def left():
        return [name for name in os.listdir(place) if not name.startswith(".")]
    h.until(lambda: not left(), lambda: "an empty %s (there is %s)" % (place, left()))


def nothing_left(d):
    h.until(lambda: not d.shims(), "the end of the shims")
    for place in ("/run/containerd/s", "/run/containerd/coracle-cri/k8s.io",
                  "/run/containerd/state/io.containerd.runtime.v2.task/k8s.io"):
        is_emptied(place)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        h.lacks("/rootfs", file.read())


@h.test("CRI: a pod's life in one shim: run, exec, logs, status, stop, remove")
def _(c):
    with Node(c) as (d, kubelet):
        pod = kubelet.run_pod("coracle")
        h.eq(1, len(d.shims()))
        boxes = [kubelet.run(pod, "box%d" % n, ["sh", "-c", "echo out%d; echo err >&2; sleep 1000" % n])
                 for n in range(3)]
        h.eq(1, len(d.shims()), "shims of a pod of four")
        h.true(os.path.isdir("/run/containerd/coracle-cri/k8s.io/" + boxes[0]), "no state in Root")
        h.eq((3, "in\n", "bad\n"), kubelet.exec(boxes[1], "sh", "-c", "echo in; echo bad >&2; exit 3"))
        h.until(lambda: len(kubelet.log("box1")) == 2, "the log")
        h.eq([("stderr", "err"), ("stdout", "out1")], sorted(kubelet.log("box1")))
        h.eq(cri.RUNNING, kubelet.state(boxes[2]))
        kubelet.call("StopContainer", enc(_1=boxes[2], _2=1))
        status = kubelet.status(boxes[2])
        h.eq((cri.EXITED, 137), (one(status, 3), one(status, 7)))
        kubelet.call("RemoveContainer", enc(_1=boxes[2]))
        kubelet.remove_pod(pod)
        nothing_left(d)


@h.test("CRI: exit codes and reasons, and a program that is not there")
def _(c):
    with Node(c) as (d, kubelet):
        pod = kubelet.run_pod("coracle")
        for number, (command, code, reason) in enumerate((
                ("exit 0", 0, "Completed"), ("exit 42", 42, "Error"))):
            box = kubelet.run(pod, "box%d" % number, ["sh", "-c", command])
            h.until(lambda: kubelet.state(box) == cri.EXITED, "its end")  # pylint: disable=W0640
            status = kubelet.status(box)
            h.eq((code, reason), (one(status, 7), text(status, 10)))
        box = kubelet.create(pod, "bad", ["/no/such/program"])
        try:
            kubelet.call("StartContainer", enc(_1=box))
            h.fail("it was started")
        except cri.Refused as refused:
            h.has("no such file or directory", str(refused))
        kubelet.remove_pod(pod)
        nothing_left(d)


@h.test("CRI: an exec that takes too long is ended, and the container goes on")
def _(c):
    with Node(c) as (d, kubelet):
        pod = kubelet.run_pod("coracle")
        box = kubelet.run(pod, "box", ["sleep", "1000"])
        try:
            kubelet.exec(box, "sh", "-c", "sleep 100", seconds=1)
            h.fail("the exec went on")
        except cri.Refused as refused:
            h.has("timeout", str(refused))
        h.eq((0, "well\n", ""), kubelet.exec(box, "echo", "well"))
        kubelet.remove_pod(pod)
        nothing_left(d)


@h.test("CRI: statistics of a container")
def _(c):
    with Node(c) as (_, kubelet):
        pod = kubelet.run_pod("coracle")
        box = kubelet.run(pod, "box", ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done;"
                                       " sleep 1000"])
        def used():
            stats = dec(one(kubelet.call("ContainerStats", enc(_1=box)), 1))
            return one(dec(one(dec(one(stats, 2)), 2)), 1)
        h.until(lambda: used() > 1_000_000, "a millisecond of CPU time")
        kubelet.remove_pod(pod)


@h.test("CRI: containerd killed and restarted: pods go on, and what ended meanwhile is told")
def _(c):
    with Node(c) as (d, kubelet):
        pod = kubelet.run_pod("coracle")
        stays = kubelet.run(pod, "stays", ["sleep", "1000"])
        ends = kubelet.run(pod, "ends", ["sh", "-c", "sleep 1; exit 7"])
        shims = d.shims()
        d.crash()
        h.until(lambda: not ended_pids(), "the end of the one", 10)
        d.start()
        h.until(lambda: answers(kubelet, ends), "CRI to answer", 30)
        h.eq(shims, d.shims())
        h.eq(cri.RUNNING, kubelet.state(stays))
        status = kubelet.status(ends)
        h.eq((cri.EXITED, 7), (one(status, 3), one(status, 7)))
        h.eq((0, "in\n", ""), kubelet.exec(stays, "echo", "in"))
        kubelet.remove_pod(pod)
        nothing_left(d)


def ended_pids():
    """Pids of what sleeps for a second and no longer."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                if b"sleep 1; exit 7" in file.read():
                    found.append(pid)
        except OSError:
            continue
    return found


def answers(kubelet, box):
    try:
        return kubelet.status(box)
    except cri.Refused:
        return None


@h.test("CRI: a shim that is killed: its containers are told of as ended, the pod can be removed")
def _(c):
    with Node(c) as (d, kubelet):
        pod = kubelet.run_pod("coracle")
        box = kubelet.run(pod, "box", ["sleep", "1000"])
        os.kill(d.shims()[0], signal.SIGKILL)
        h.until(lambda: kubelet.state(box) == cri.EXITED, "its end", 15)
        # 255 is CRI's word for a wait that was cut off.
        h.true(one(kubelet.status(box), 7) in (137, 255), "no such status as of a killed one")
        kubelet.remove_pod(pod)
        nothing_left(d)


@h.test("CRI: a runtime type that is the shim's path")
def _(c):
    with Node(c) as (d, kubelet):
        pod = kubelet.run_pod("type-is-path")
        box = kubelet.run(pod, "box", ["sh", "-c", "echo out; sleep 1000"])
        h.eq((0, "in\n", ""), kubelet.exec(box, "echo", "in"))
        h.eq(1, len(d.shims()))
        kubelet.remove_pod(pod)
        h.until(lambda: not d.shims(), "the end of the shims")


@h.test("CRI: runc's runtime type with our path, whose options are typed")
def _(c):
    with Node(c) as (d, kubelet):
        version = d.version()
        if version < (1, 6, 21) or version == (1, 7, 0):
            h.skip("containerd %d.%d.%d does not look at runtime_path" % version)
        pod = kubelet.run_pod("by-path")
        box = kubelet.run(pod, "box", ["sleep", "1000"])
        h.eq(1, len(d.shims()))
        h.true(os.path.isdir("/run/containerd/coracle-cri/k8s.io/" + box), "no state in Root")
        kubelet.remove_pod(pod)
        nothing_left(d)


if __name__ == "__main__":
    h.main()
