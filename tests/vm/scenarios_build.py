"""Images are built by running commands in containers: podman build, Buildah."""
from scenario import equal, scenario


def folder(t):
    path = "/run/build-" + t.name()
    t.sh("mkdir -p %s; echo data > %s/file; printf 'FROM IMAGE\\nCOPY file /file\\nRUN cat /file > "
         "/copy && mkdir /made\\nUSER 1000\\nRUN id -u > /tmp/user\\nCMD [\"cat\",\"/copy\","
         "\"/tmp/user\"]\\n' > %s/Containerfile" % (path, path, path)).ok()
    t.finally_sh("rm -rf " + path)
    return path


@scenario("build", "podman build, and what was built runs")
def _(t):
    name = t.name("image")
    t.finally_sh("podman rmi -f localhost/" + name)
    t.podman("build --network none --isolation oci -t %s %s" % (name, folder(t)), timeout=300).ok()
    t.podman("run --rm --network none localhost/" + name).prints("data\n1000")


@scenario("build", "a failing RUN gives its status; a missing command its words")
def _(t):
    path = folder(t)
    t.sh("printf 'FROM IMAGE\\nRUN exit 5\\n' > %s/Containerfile" % path)
    t.podman("build --network none --isolation oci " + path, timeout=300).status_is(5).has("5")
    t.sh("printf 'FROM IMAGE\\nRUN [\"/nosuch\"]\\n' > %s/Containerfile" % path)
    t.podman("build --network none --isolation oci " + path, timeout=300).has(
        "[Nn]o such file or directory|not found")


@scenario("build", "buildah from, run, status, terminal, commit")
def _(t):
    name = t.sh("buildah from IMAGE").ok().line()
    t.finally_sh("buildah rm " + name)
    run = "buildah run --isolation oci --runtime BINARY --network none "
    t.sh(run + name + " -- sh -c 'echo in; exit 5'").status_is(5).has("^in$")
    result = t.sh("script -qec '%s -t %s -- tty' /dev/null" % (run, name)).ok()
    equal(True, "/dev/pts/0" in result.out, "a terminal in %r" % result.out)
    t.sh(run + name + " -- nosuch").has("executable file .*not found")
