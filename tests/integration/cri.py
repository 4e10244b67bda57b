"""A kubelet's side of containerd's CRI socket (runtime.v1.RuntimeService), as far as tests need it.

    kubelet = cri.Kubelet(socket)
    pod = kubelet.run_pod("coracle")
    box = kubelet.create(pod, "one", ["sleep", "1000"])
    kubelet.call("StartContainer", enc(_1=box))

gRPC is Debian's python3-grpcio, which another Python than the tests' may have: so a process of its
own speaks it, a line a call. That process is this file as a program.
"""
import subprocess
import sys

SERVICE = "RuntimeService"
NODE = 2  # NamespaceMode: the host's
RUNNING, EXITED = 1, 2


class Refused(Exception):
    """Code and words of a call that failed."""


def relay(socket):
    """Lines "SERVICE/METHOD HEX" in, "HEX" or "! WORDS" out."""
    import grpc
    channel = grpc.insecure_channel("unix://" + socket)
    for line in sys.stdin:
        method, _, payload = line.rstrip("\n").partition(" ")
        call = channel.unary_unary("/runtime.v1." + method)
        try:
            print(call(bytes.fromhex(payload), timeout=120, wait_for_ready=True).hex(), flush=True)
        except grpc.RpcError as error:
            print("! %s %s" % (error.code().name, error.details().replace("\n", " ")), flush=True)


if __name__ == "__main__":
    relay(sys.argv[1])
    sys.exit(0)

import os  # noqa: E402  (the relay needs none of these)

import harness as h  # noqa: E402
from containerd import IMAGE  # noqa: E402
from shim import dec, enc, one, text  # noqa: E402


def python():
    """One that can import grpc."""
    for path in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([path, "-c", "import grpc"], capture_output=True,
                          check=False).returncode == 0:
            return path
    return h.skip("python3-grpcio is not installed")


class Kubelet:
    def __init__(self, socket, logs):
        self.logs, self.serial = logs, 0
        self.child = subprocess.Popen([python(), os.path.abspath(__file__), socket], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def call(self, method, payload=b"", service=SERVICE):
        """The answer, decoded; raises Refused."""
        self.child.stdin.write("%s/%s %s\n" % (service, method, payload.hex()))
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line or line.startswith("!"):
            raise Refused(line.strip("! \n"))
        return dec(bytes.fromhex(line.strip()))

    def is_ready(self):
        """CRI is there and knows the image."""
        try:
            return self.call("ImageStatus", enc(_1=enc(_1=IMAGE)), "ImageService").get(1)
        except Refused:
            return None

    def sandbox(self, parent):
        """A PodSandboxConfig in the host's network."""
        names = enc(_1=enc(_1="pod%d" % self.serial, _2="uid%d" % self.serial, _3="default"),
                    _3=self.logs)
        linux = enc(_1=parent, _2=enc(_1=enc(_1=NODE)))
        return names + enc(_8=linux)

    def run_pod(self, handler, parent=""):
        """(id, config) of a pod."""
        self.serial += 1
        config = self.sandbox(parent)
        answer = self.call("RunPodSandbox", enc(_1=config, _2=handler))
        return text(answer, 1), config

    def create(self, pod, name, command, resources=b"", security=enc(_3=enc(_1=NODE, _2=1))):
        """The id of a container, created. `security`: LinuxContainerSecurityContext."""
        config = enc(_1=enc(_1=name), _2=enc(_1=IMAGE), _3=list(command), _11=name + ".log",
                     _15=enc(_1=resources, _2=security))
        return text(self.call("CreateContainer", enc(_1=pod[0], _2=config, _3=pod[1])), 1)

    def run(self, pod, name, command, **more):
        box = self.create(pod, name, command, **more)
        self.call("StartContainer", enc(_1=box))
        return box

    def exec(self, box, *command, seconds=0):
        """(exit code, stdout, stderr)"""
        answer = self.call("ExecSync", enc(_1=box, _2=list(command), _3=seconds))
        return one(answer, 3), one(answer, 1, b"").decode(), one(answer, 2, b"").decode()

    def status(self, box):
        """ContainerStatus, decoded."""
        return dec(one(self.call("ContainerStatus", enc(_1=box)), 1))

    def state(self, box):
        return one(self.status(box), 3)

    def log(self, name):
        """What a container's log says: [(stream, line)]."""
        with open(os.path.join(self.logs, name + ".log"), encoding="utf-8") as file:
            return [(line.split()[1], line.rstrip("\n").split(" ", 3)[3]) for line in file]

    def remove_pod(self, pod):
        self.call("StopPodSandbox", enc(_1=pod[0]))
        self.call("RemovePodSandbox", enc(_1=pod[0]))

    def close(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()
