"""Profiles of AppArmor, in a machine started with --apparmor."""
import os
import sys

from scenario import scenario
from scenarios_direct import Box
from scenarios_docker import docker

RUN = "run --rm --network none "
PROFILE = """
profile vm-test flags=(attach_disconnected, mediate_deleted) {
  file,
  capability,
  network,
  signal,
  deny /denied w,
}
"""
ATTR = "cat /proc/self/attr/current"
CONFORMANCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "oci-conformance",
                           "run")


def loaded(t):
    t.sh("apparmor_parser --replace", stdin=PROFILE).ok()


def box_of(t, profile, command):
    box = Box(t, ["sh", "-c", command])
    t.sh("cp -a %s %s/rootfs" % (box.config["root"]["path"], box.folder)).ok()
    box.config["root"] = {"path": box.folder + "/rootfs"}
    box.config["process"]["apparmorProfile"] = profile
    return box


@scenario("apparmor", "a profile is in force from the first instruction of the command on")
def _(t):
    loaded(t)
    box_of(t, "vm-test", ATTR + "; touch /denied; touch /given && echo given").run().has(
        r"^vm-test \(enforce\)$", "denied: [Pp]ermission denied", "^given$")
    box_of(t, "unconfined", ATTR).run().prints("unconfined")


@scenario("apparmor", "exec has the container's profile, or its own")
def _(t):
    loaded(t)
    box = box_of(t, "vm-test", "sleep 1000")
    box.create().ok()
    box.start().ok()
    box.do("exec", box.id + " " + ATTR).ok().has(r"^vm-test \(enforce\)$")
    box.do("exec", "--apparmor unconfined %s %s" % (box.id, ATTR)).ok().has("^unconfined$")


@scenario("apparmor", "a profile that is not loaded is an error")
def _(t):
    box_of(t, "no-such-profile", "echo ran").run().lacks("^ran$").has("no-such-profile|apparmor")


@scenario("apparmor", "docker run has Docker's profile")
def _(t):
    docker(t, RUN + "IMAGE " + ATTR).ok().has(r"^docker-default \(enforce\)$")
    docker(t, RUN + "--security-opt apparmor=unconfined IMAGE " + ATTR).prints("unconfined")


@scenario("apparmor", "podman run and exec have Podman's profile")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d --network none --name %s IMAGE sleep 1000" % name).ok()
    t.podman("exec %s %s" % (name, ATTR)).ok().has(r"^containers-default.*\(enforce\)$")
    t.podman(RUN + "--security-opt apparmor=unconfined IMAGE " + ATTR).prints("unconfined")


@scenario("apparmor", "the conformance suite's rule C52")
def _(t):
    # The variable's name is in two parts: whole it would be replaced by the runtime's.
    t.sh("env RUN''TIME=BINARY OCI_CONFORMANCE_TIMEOUT=120 %s %s C52" %
         (sys.executable, CONFORMANCE), timeout=200).ok().lacks("SKIP")
