"""What fails, fails with the status and the words that engines and people know."""
from scenario import scenario
from scenarios_direct import Box
from scenarios_docker import docker

RUN = "run --rm --network none "
MISSING = "executable file .*not found in"


@scenario("words", "podman: a missing command is 127")
def _(t):
    t.heard("podman run nosuch", t.podman(RUN + "IMAGE nosuch")).status_is(127).has(MISSING)
    t.heard("podman run /nosuch", t.podman(RUN + "IMAGE /nosuch")).status_is(127).has(
        "[Nn]o such file or directory")


@scenario("words", "podman: a folder, a file without x are 126")
def _(t):
    t.heard("podman run /etc", t.podman(RUN + "IMAGE /etc")).status_is(126).has(
        "is a directory|[Pp]ermission denied|not permitted")
    t.heard("podman run /etc/passwd", t.podman(RUN + "IMAGE /etc/passwd")).status_is(126).has(
        "[Pp]ermission denied")


@scenario("words", "podman --log-level debug and a runtime that Podman does not know by name")
def _(t):
    t.podman("--log-level debug " + RUN + "IMAGE nosuch").status_is(127).has(MISSING)
    t.sh("ln -sf BINARY /run/other-RUNTIME; podman --runtime /run/other-RUNTIME run --rm "
         "--network none IMAGE nosuch").status_is(127).has(MISSING)


@scenario("words", "podman: the interpreter of a script is missing")
def _(t):
    t.sh("printf '#!/nosuch\\n' > /run/script; chmod +x /run/script")
    t.heard("podman run SCRIPT", t.podman(RUN + "-v /run/script:/script IMAGE "
                                          "/script")).status_is(1, 126, 127)


@scenario("words", "podman: an error of the engine itself is 125")
def _(t):
    t.podman(RUN + "--cgroups nonsense IMAGE true").status_is(125)


@scenario("words", "podman: a limit that the kernel refuses is no missing command")
def _(t):
    result = t.heard("podman run --cpuset-cpus 77", t.podman(RUN + "--cpuset-cpus 77 IMAGE true"))
    result.status_is(126)


@scenario("words", "direct: kill, state, start, delete of an unknown container")
def _(t):
    for verb in ("state %s", "start %s", "kill %s KILL", "delete %s", "pause %s"):
        result = t.heard(verb % "nobody", t.sh("BINARY " + verb % "nobody"))
        if result.status == 0:
            result.fail("should fail")
        result.has("does not exist")
    t.sh("BINARY delete --force nobody").ok()


@scenario("words", "direct: a container that has ended")
def _(t):
    box = Box(t, ["true"])
    box.create().ok()
    box.start().ok()
    t.until("BINARY state " + box.id, "stopped")
    for verb in ("kill %s TERM", "exec %s true", "start %s", "pause %s"):
        result = t.heard(verb % "ended", t.sh("BINARY " + verb % box.id))
        if result.status == 0:
            result.fail("should fail")
    t.sh("BINARY kill %s TERM" % box.id).has("not running|no such process|already finished")


@scenario("words", "direct: the same id twice, an id that is none, a bundle that is none")
def _(t):
    box = Box(t, ["sleep", "100"])
    box.create().ok()
    t.heard("create twice", box.create()).status_is(1).has("exist|in use")
    t.heard("create a/b", t.sh("BINARY create --bundle %s a/b" % box.bundle.path)).status_is(1)
    t.heard("create without config.json", t.sh("BINARY create --bundle /run x1")).status_is(1).has(
        "config.json")
    t.heard("delete of a running one", t.sh("BINARY start %s; BINARY delete %s" %
                                            (box.id, box.id))).status_is(1)


@scenario("words", "docker: a missing command is 127, a folder 126")
def _(t):
    for command, status, words in (("nosuch", 127, MISSING),
                                   ("/nosuch", 127, "no such file or directory"),
                                   ("/etc", 126, "ermission denied|is a directory"),
                                   ("/etc/passwd", 126, "ermission denied")):
        t.heard("docker run " + command, docker(t, RUN + "IMAGE " + command)).status_is(
            status).has(words)


@scenario("words", "podman exec: a missing command, a folder, a missing working folder")
def _(t):
    name = t.name()
    t.finally_sh("podman rm -f -t 0 " + name)
    t.podman("run -d --network none --name %s IMAGE sleep 1000" % name).ok()
    t.heard("podman exec nosuch", t.podman("exec %s nosuch" % name)).status_is(127).has(MISSING)
    t.heard("podman exec /nosuch", t.podman("exec %s /nosuch" % name)).status_is(127).has(
        "[Nn]o such file or directory")
    t.heard("podman exec /etc", t.podman("exec %s /etc" % name)).status_is(126)
    t.heard("podman exec -w /nosuch", t.podman("exec -w /nosuch %s true" % name)).status_is(127).has(
        "[Nn]o such file or directory")


@scenario("words", "docker exec: a missing command, a folder; a file mounted over a folder")
def _(t):
    name = t.name("d")
    t.finally_sh("docker rm -f " + name)
    docker(t, "run -d --network none --name %s IMAGE sleep 1000" % name).ok()
    t.heard("docker exec nosuch", docker(t, "exec %s nosuch" % name)).status_is(126, 127).has(MISSING)
    t.heard("docker exec /etc", docker(t, "exec %s /etc" % name)).status_is(126, 127)
    t.heard("docker run -v FILE:FOLDER", docker(t, RUN + "-v /etc/hostname:/etc IMAGE true")).status_is(
        125, 126, 127).has("[Nn]ot a directory")
