"""What fails, fails with the status and the words that engines and people know."""
from scenario import scenario

RUN = "run --rm --network none "
MISSING = "executable file .*not found in"


@scenario("words", "podman: a missing command is 127")
def _(t):
    t.podman(RUN + "IMAGE nosuch").status_is(127).has(MISSING)
    t.podman(RUN + "IMAGE /nosuch").status_is(127).has("[Nn]o such file or directory")


@scenario("words", "podman: a folder, a file without x are 126")
def _(t):
    t.podman(RUN + "IMAGE /etc").status_is(126).has("is a directory|[Pp]ermission denied|"
                                                    "not permitted")
    t.podman(RUN + "IMAGE /etc/passwd").status_is(126).has("[Pp]ermission denied")


@scenario("words", "podman --log-level debug and a runtime that Podman does not know by name")
def _(t):
    t.podman("--log-level debug " + RUN + "IMAGE nosuch").status_is(127).has(MISSING)
    t.sh("ln -sf BINARY /run/other-RUNTIME; podman --runtime /run/other-RUNTIME "
         "run --rm --network none IMAGE nosuch").status_is(127).has(MISSING)


@scenario("words", "podman: the interpreter of a script is missing")
def _(t):
    t.sh("printf '#!/nosuch\\n' > /run/script; chmod +x /run/script")
    t.podman(RUN + "-v /run/script:/script IMAGE /script").status_is(1, 126, 127)


@scenario("words", "podman: an error of the engine itself is 125")
def _(t):
    t.podman(RUN + "--cgroups nonsense IMAGE true").status_is(125)


@scenario("words", "direct: kill, state, start, delete of an unknown container")
def _(t):
    for verb in ("state %s", "start %s", "kill %s KILL", "delete %s", "pause %s"):
        result = t.sh("BINARY " + verb % "nobody")
        if result.status == 0:
            result.fail("should fail")
        result.has("does not exist")
    t.sh("BINARY delete --force nobody").ok()
