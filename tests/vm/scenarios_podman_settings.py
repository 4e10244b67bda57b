"""Podman as root: what the options of `podman run` set is what a container finds inside."""
from scenario import Failure, fetch, scenario

RUN = "run --rm --network none "


@scenario("settings", "--read-only --tmpfs --cap-drop all, no-new-privileges, user")
def _(t):
    t.podman(RUN + "--read-only --tmpfs /var --cap-drop all --security-opt no-new-privileges -u "
             "1000:1000 IMAGE sh -c 'grep -E \"^(Cap...|NoNewPrivs|Seccomp):\" /proc/self/status; "
             "touch /x; touch /tmp/x && echo tmp; id -u'").has(
                 "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1",
                 "Seccomp:\t2", "Read-only file system", "^tmp$", "^1000$")


@scenario("settings", "--cap-add, --cap-drop")
def _(t):
    t.podman(RUN + "--cap-drop all --cap-add chown,net_admin IMAGE grep CapEff "
             "/proc/self/status").has("CapEff:\t0000000000001001")


@scenario("settings", "--privileged: every capability, devices, writable /sys")
def _(t):
    everything = t.sh("sed -n 's/CapBnd:.//p' /proc/self/status").out.strip()
    t.podman(RUN + "--privileged IMAGE sh -c 'grep CapEff /proc/self/status; ls /dev/vda; mount | "
             "grep \" /sys \"; grep Seccomp: /proc/self/status'").has(
                 everything, "^/dev/vda$", r"/sys type sysfs \(rw", "Seccomp:\t0")


@scenario("settings", "--security-opt seccomp=unconfined, mask, unmask=ALL")
def _(t):
    t.podman(RUN + "--security-opt seccomp=unconfined --security-opt unmask=ALL --security-opt "
             "mask=/etc IMAGE sh -c 'grep Seccomp: /proc/self/status; ls /proc/acpi "
             "/sys/firmware | wc -l; ls /etc | wc -l'").has("Seccomp:\t0", "^0$", "^[1-9][0-9]*$")


@scenario("settings", "a seccomp profile of one's own")
def _(t):
    t.sh("echo '{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\","
         "\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":28}]}' > /run/profile.json")
    t.podman(RUN + "--security-opt seccomp=/run/profile.json IMAGE mkdir /a").status_is(1).has(
        "No space left")


@scenario("settings", "--device, --ulimit, --sysctl, --shm-size, --hostname, -w, -e")
def _(t):
    t.podman(RUN + "--device /dev/vda:/dev/disk:r --ulimit nofile=321:654 --sysctl "
             "net.ipv4.ip_forward=1 --shm-size 3m --hostname abc -w /var -e A=b IMAGE sh -c 'ls -l "
             "/dev/disk; head -c 1 /dev/disk > /dev/null && echo readable; ulimit -n; ulimit -Hn; "
             "cat /proc/sys/net/ipv4/ip_forward; df -k /dev/shm | tail -1; hostname; pwd; echo "
             "$A'").has("brw.*/dev/disk", "^readable$", "^321$", "^654$", "^1$", " 3072 ",
                        "^abc$", "^/var$", "^b$")


@scenario("settings", "--pids-limit 0 and -1 are no limit, 5 is one")
def _(t):
    t.podman(RUN + "--pids-limit 0 IMAGE sh -c 'true & wait; echo forked'").prints("forked")
    t.podman(RUN + "--pids-limit -1 IMAGE sh -c 'cat /sys/fs/cgroup/pids.max'").prints("max")
    t.podman(RUN + "--pids-limit 5 IMAGE sh -c 'cat /sys/fs/cgroup/pids.max'").prints("5")


@scenario("settings", "volumes: read-only, shared propagation, tmpfs, a file")
def _(t):
    t.sh("mkdir -p /run/volume/sub; echo in > /run/volume/file")
    t.podman(RUN + "-v /run/volume:/a:ro -v /run/volume/file:/b/file --mount type=tmpfs,"
             "destination=/c,tmpfs-size=1m -v /run/volume:/d:rshared IMAGE sh -c 'touch /a/x; cat "
             "/b/file; grep \" /c \" /proc/mounts; grep \" /d \" /proc/self/mountinfo'").has(
                 "Read-only", "^in$", "size=1024k", "shared:")


@scenario("settings", "a named volume is filled from the image")
def _(t):
    name = t.name("volume")
    t.finally_sh("podman volume rm " + name)
    t.podman(RUN + "-v %s:/etc IMAGE cat /etc/group" % name).ok().has("root")


@scenario("settings", "--init, --group-add, --umask, --timezone")
def _(t):
    t.podman(RUN + "--init --init-path /usr/bin/tini-static --group-add 77 --umask 0027 IMAGE sh "
             "-c 'cat /proc/1/comm; id -G; umask'").has("podman-init|catatonit|tini|docker-init",
                                                        r"\b77\b", "^0027$")


@scenario("settings", "host namespaces: --pid --ipc --uts --network host")
def _(t):
    which = "for n in ipc uts net; do readlink /proc/self/ns/$n; done; hostname"
    t.podman("run --rm --pid host --ipc host --uts host --network host IMAGE sh -c '%s'" %
             which).prints(t.sh(which).out)


@scenario("settings", "--pid, --ipc, --network of another container")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d --network none --ipc shareable --name %s IMAGE sleep 54321" % name).ok()
    t.podman("run --rm --pid container:%s --ipc container:%s --network container:%s IMAGE ps" %
             (name, name, name)).ok().has("sleep 54321")


@scenario("settings", "--uidmap: a user namespace")
def _(t):
    t.podman(RUN + "--uidmap 0:100000:65536 --gidmap 0:100000:65536 IMAGE sh -c 'cat "
             "/proc/self/uid_map; id -u; touch /x && ls -ln /x; mount | grep -c cgroup'").has(
                 r"^ +0 +100000 +65536$", "^0$", "^1$")


@scenario("settings", "--userns auto")
def _(t):
    t.sh("grep -q ^containers: /etc/subuid || { echo containers:2000000:500000 >> /etc/subuid; "
         "echo containers:2000000:500000 >> /etc/subgid; }")
    t.podman(RUN + "--userns auto IMAGE cat /proc/self/uid_map").ok().has(r"^ +0 +2\d+ ")


@scenario("settings", "exec in a user namespace, pause, stop")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d --network none --uidmap 0:100000:65536 --name %s IMAGE sleep 1000" %
             name).ok()
    t.podman("exec -u 7 %s sh -c 'id -u; cat /proc/self/uid_map'" % name).ok().has("^7$", "100000")
    t.podman("pause " + name).ok()
    t.podman("unpause " + name).ok()
    t.podman("stop -t 0 " + name).ok()


@scenario("settings", "bridge network: address, published port, resolution of a name")
def _(t):
    net, name = t.name("net"), t.name()
    t.finally_sh("podman network rm -f " + net)
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("network create " + net).ok()
    t.podman("run -d --name %s --network %s -p 127.0.0.1:8181:80 IMAGE sh -c 'mkdir /w; echo web > "
             "/w/i; exec httpd -f -p 80 -h /w'" % (name, net)).ok()
    t.until("busybox wget -qO- http://127.0.0.1:8181/i", "web", 20)
    t.podman("run --rm --network %s IMAGE sh -c %s" %
             (net, fetch(name))).ok().has("^web$")


@scenario("settings", "systemd as the container's init boots and stops")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d --network none --name %s --systemd always --rootfs /:O /lib/systemd/systemd "
             "--unit basic.target" % name, timeout=300).ok()
    t.until("podman exec %s systemctl is-active basic.target" % name, "^active", 120)
    t.podman("stop -t 60 " + name, timeout=120).ok()
    result = t.podman("inspect -f '{{.State.ExitCode}}' " + name).ok()
    if result.out.strip() not in ("0", "130", "143"):
        raise Failure("systemd did not stop by itself: status " + result.out)


@scenario("settings", "a config as CDI and GPU toolkits edit it: device, mounts, hook, environment")
def _(t):
    t.sh("mkdir -p /run/gpu /etc/cdi /run/cdi; echo lib > /run/gpu/lib.so; [ -e /dev/gpu0 ] || mknod /dev/gpu0 c 1 5; "
         "printf '#!/bin/sh\\ncat > /run/gpu/state; echo ran > /run/gpu/ran\\n' > /run/gpu/hook; "
         "chmod +x /run/gpu/hook; rm -f /run/gpu/ran")
    t.sh("mkdir -p /run/gpu/hooks; echo '{\"version\":\"1.0.0\",\"hook\":{\"path\":"
         "\"/run/gpu/hook\",\"args\":[\"hook\",\"create\"]},\"when\":{\"always\":true},\"stages\":"
         "[\"createContainer\"]}' > /run/gpu/hooks/gpu.json")
    t.podman("--hooks-dir /run/gpu/hooks " + RUN + "--device /dev/gpu0 -v "
             "/run/gpu/lib.so:/usr/lib/lib.so:ro,nosuid,nodev,rbind,rprivate -e "
             "GPU_VISIBLE=all IMAGE sh -c 'head -c 2 /dev/gpu0 | wc -c; cat /usr/lib/lib.so; echo "
             "$GPU_VISIBLE'").prints("2\nlib\nall")
    t.sh("cat /run/gpu/ran; cat /run/gpu/state").has("^ran$", '"status": *"creat')
