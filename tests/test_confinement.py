"""The layers around the sandbox: what a process inside them can still do, if code other than Lua's should run there."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import socket
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import pytest
from support.processes import descendants, eventually

from kosmolua import ConfigError, LimitExceeded, Runtime
from kosmolua.processes.child import ColdChild, SessionProcess
from kosmolua.sandbox import confinement

LINUX = sys.platform == "linux"
if LINUX:
    from kosmolua.sandbox import linux, seccomp

pytestmark = [
    pytest.mark.skipif(not LINUX, reason="the layers that are tested here are Linux's"),
    pytest.mark.usefixtures("new_processes"),
]
filtered = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="there is no filter of system calls for this machine"
)
PATHS = [str(Path(__file__).parent.parent), *sys.path]


def user_namespaces() -> bool:
    """Return True if a user other than root may have a user namespace of their own."""
    probe = "import ctypes, os; os.setuid(54321); os._exit(ctypes.CDLL(None).unshare(0x10000000) != 0)"
    return subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


CELL = """
import ctypes, errno, mmap, os, resource, signal, socket, sys, _thread
from kosmolua.sandbox import confinement
stream, datagrams = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
{setup}
cell = confinement.Confinement(forking={forking})
cell.settle()
cell.lock(30, 96 * 1024**2)

def check(result):
    if result in (-1, None, False):
        raise OSError(ctypes.get_errno(), "refused")

libc = ctypes.CDLL(None, use_errno=True)
try:
{attempt}
except OSError as error:
    os.write(1, errno.errorcode.get(error.errno, "?").encode())
except RuntimeError:
    os.write(1, b"EAGAIN")
except ValueError:
    os.write(1, b"EPERM")
else:
    os.write(1, b"done")
os._exit(0)
"""
NO_FILTER = "confinement.seccomp._MACHINES.clear(); confinement.STANDARD_DESCRIPTORS = 64"
LANDLOCK_ALONE = f"{NO_FILTER}; confinement._become_nobody = confinement.linux.hide = lambda: False"
OTHER_USER_ALONE = f"{NO_FILTER}; confinement.linux.restrict = lambda: False"
FILES = {
    "read a file": "open('/etc/hostname')",
    "write a file": "open('/tmp/kosmolua-escape', 'w')",
    "append to the null device": "open('/dev/null', 'a')",
    "list a folder": "os.listdir('/')",
    "read its own environment": "open('/proc/self/environ')",
    "read the host's environment": "open('/proc/{parent}/environ')",
    "read the host's memory": "open('/proc/{parent}/mem')",
    "read the first process's environment": "open('/proc/1/environ')",
    "make a folder": "os.mkdir('/tmp/kosmolua-escape')",
}
NETWORK = {
    "listen": "stream.bind((b'127.0.0.1', 0))",
    "connect": "stream.connect((b'127.0.0.1', {port}))",
}
PROGRAMS = {"run a program": "os.execv('/bin/true', ['true'])"}
PROCESSES = {
    "trace the host": "check(libc.ptrace(16, {parent}, 0, 0) == 0)",
    "read the host's memory by a call": "b = ctypes.create_string_buffer(64); v = (ctypes.c_void_p * 2)("
    "ctypes.addressof(b), 64); check(libc.process_vm_readv({parent}, v, 1, v, 1, 0))",
    "signal the host": "os.kill({parent}, 0)",
}
BY_FILTER_ONLY = {
    "fork": "os.fork() or os._exit(0)",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {{}})",
    "start a thread": "_thread.start_new_thread(print, ())",
    "send a datagram": "datagrams.sendto(b'x', (b'127.0.0.1', {port}))",
    "open a socket": "socket.socket()",
    "make a pair of sockets": "socket.socketpair()",
    "make memory that can be executed": "mmap.mmap(-1, 4096, prot=7)",
    "have more time": "signal.setitimer(signal.ITIMER_PROF, 0)",
    "raise a limit": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "change the user": "os.setuid(0)",
    "leave for another namespace": "check(libc.unshare(0x10000000) == 0)",
    "be looked into again": "check(libc.prctl(4, 1, 0, 0, 0) == 0)",
}


def attempt(what: str, *, setup: str = "", forking: bool = False, port: int = 1) -> str:
    """Run Python inside the layers, as nothing but an exploit could, and return "done" or how it was refused."""
    filled = textwrap.indent(what.format(parent=os.getpid(), port=port), "    ")
    code = CELL.format(setup=setup, forking=forking, attempt=filled)
    code = f"import sys\nsys.path[:] = {PATHS!r}\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={})
    return done.stdout or done.stderr


ALL = FILES | NETWORK | PROGRAMS | PROCESSES | BY_FILTER_ONLY
OPEN_TO_SESSIONS = ("fork", "start a thread", "have more time")
"""What a session needs to fork for each chunk, and to bound the chunk's time."""


@pytest.mark.slow
@filtered
@pytest.mark.parametrize("forking", [False, True], ids=["worker", "session"])
@pytest.mark.parametrize("name", ALL)
def test_nothing_of_the_machine_is_reached(name: str, forking: bool) -> None:
    """Whatever code a child might be made to run: no file, socket, process, memory or limit is there for it."""
    if forking and name in OPEN_TO_SESSIONS:
        pytest.skip("a session needs this")
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = attempt(ALL[name], forking=forking, port=server.getsockname()[1])
    assert answer in ("EPERM", "EAGAIN")


@pytest.mark.slow
@filtered
@pytest.mark.parametrize("forking", [False, True], ids=["worker", "session"])
@pytest.mark.parametrize("setup", ["confinement.linux._SCOPES = {{}}", "confinement.linux.restrict = lambda: False"])
def test_no_process_is_signalled_on_older_kernels(setup: str, forking: bool) -> None:
    """Landlock refuses signals from Linux 6.12 on; without that the filter does, also to others of the same user."""
    user = f"os.setgid({confinement.NOBODY}); os.setuid({confinement.NOBODY})"
    wait = "print(flush=True); time.sleep(60)"
    victim = subprocess.Popen(
        [sys.executable, "-c", f"import os, time; os.getuid() or ({user.replace('; ', ', ')}); {wait}"],
        stdout=subprocess.PIPE,
    )
    with victim:
        assert victim.stdout
        victim.stdout.readline()
        kill = f"os.kill({victim.pid}, signal.SIGKILL)"
        try:
            assert attempt(kill, setup=setup.format(), forking=forking) == "EPERM"
            assert attempt("os.killpg(0, signal.SIGKILL)", setup=setup.format(), forking=forking) == "EPERM"
            assert victim.poll() is None
        finally:
            victim.kill()


CLONE3 = 435
OLD_RUNTIME = """
import sys
sys.path[:] = {paths!r}
from kosmolua import Runtime
from kosmolua.sandbox import linux, seccomp
pack = seccomp._INSTRUCTION.pack
refuse = [(0x20, 0, 0, 0), (0x15, 0, 1, {clone3}), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)]
linux.forbid_new_privileges()
call, arguments = linux.filtering(b"".join(pack(*each) for each in refuse))
assert call(*arguments) == 0
with Runtime(simulate=True, environ={{}}) as runtime:
    print(runtime.run("return 1").error)
"""


@filtered
def test_a_container_that_refuses_clone3_is_told_so() -> None:
    """Old runtimes answer this system call with "not permitted", upon which the C library tries no other."""
    code = OLD_RUNTIME.format(paths=PATHS, clone3=CLONE3)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    if done.stdout == "None\n":
        pytest.skip("the C library starts processes without clone3")
    assert "The sandbox cannot be started: Operation not permitted" in done.stdout
    assert "allow clone3" in done.stdout


FORKS = """
reading, writing = os.pipe()
for count in range({count}):
    if os.fork() == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
"""


@pytest.mark.slow
@filtered
@pytest.mark.parametrize(
    ("setup", "count"),
    [
        ("", 20),
        ("os.setgid(54321); os.setuid(54321)", 20),
        ("confinement._become_another_user = lambda: False", 2000),
    ],
    ids=["root", "user", "not counted alone"],
)
def test_a_session_does_not_fork_without_end(setup: str, count: int) -> None:
    """A bound on its processes holds for it, though it must fork for each chunk."""
    if count < 100 and (os.geteuid() != 0 or not user_namespaces()):
        pytest.skip("needs root, and namespaces of users")
    assert attempt(FORKS.strip().format(count=count), setup=setup, forking=True) == "EAGAIN"


def test_a_fork_of_a_session_has_no_more_time() -> None:
    """The kernel bounds the time of each fork as it does its parent's, and nobody can raise that."""
    assert attempt("check(resource.getrlimit(resource.RLIMIT_CPU) == (32, 32))", forking=True) == "done"
    assert attempt("resource.setrlimit(resource.RLIMIT_CPU, (64, 64))", forking=True) == "EPERM"


def scores(pids: Iterable[int]) -> set[str]:
    """Return the adjustments of those processes that have not ended."""
    found = set()
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            found.add(Path(f"/proc/{pid}/oom_score_adj").read_text())
    return found


@pytest.mark.parametrize("start", [ColdChild, SessionProcess, None], ids=["cold", "session", "forked"])
def test_the_kernel_ends_a_script_before_the_host(start: Callable[[], ColdChild | SessionProcess] | None) -> None:
    """If memory runs out, a child is what the kernel takes first; so are the forks of the warm process."""
    score = Path("/proc/self/oom_score_adj").read_text()
    others = descendants(os.getpid())
    with Runtime({}, environ={}) as runtime:
        if start:
            child = start()
            pids = {child.pid}
        else:
            runtime.run("return 1")
            pids = descendants(os.getpid()) - others
        try:
            assert eventually(lambda: scores(pids) == {f"{linux.OOM_SCORE_ADJUSTMENT}\n"})
        finally:
            if start:
                child.close()
    assert Path("/proc/self/oom_score_adj").read_text() == score


def test_a_missing_proc_is_no_error() -> None:
    """Without /proc the kernel chooses for itself what to end."""
    missing = "import builtins; builtins.open = lambda *_: os.stat('/none')"
    assert attempt("pass", setup=missing, forking=True) == "done"


@pytest.mark.slow
@pytest.mark.parametrize("what", (MOST := FILES | NETWORK | PROGRAMS | PROCESSES).values(), ids=MOST)
def test_landlock_alone_keeps_the_machine_away(what: str) -> None:
    """Where every other layer should fail, even for root, there is no file, program, TCP or other process."""
    if "landlock" not in layers():
        pytest.skip("this kernel has no Landlock")
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = attempt(what, setup=LANDLOCK_ALONE, port=server.getsockname()[1])
    assert answer in ("EPERM", "EACCES")


@pytest.mark.slow
@pytest.mark.skipif(not LINUX or os.getuid() != 0, reason="only root changes to another user")
@pytest.mark.parametrize("what", PROCESSES.values(), ids=PROCESSES)
def test_another_user_alone_keeps_the_host_away(what: str) -> None:
    """Where root started the host, its children are nobody's, who may not look at it or end it."""
    assert attempt(what, setup=OTHER_USER_ALONE) == "EPERM"
    for name in ("environment", "memory"):
        assert attempt(FILES[f"read the host's {name}"], setup=OTHER_USER_ALONE) == "EACCES"


ORPHAN = """
import os, socket, time
from kosmolua import protocol
from kosmolua.sandbox import confinement
from kosmolua.sandbox.zygote import Zygote
host, control = socket.socketpair()
(jobs, sends), (reads, frames) = os.pipe(), os.pipe()
socket.send_fds(host, [protocol.WORKER_ORDER.pack(protocol.FORK, 1, 9, 2**26, 1, False)], [jobs, frames])
os.close(jobs)
os.close(frames)
if os.fork() == 0:
    zygote, close = os.getpid(), confinement.close_descriptors
    host.close()
    os.close(sends)
    os.close(reads)

    def close_late():
        while os.getppid() == zygote:
            time.sleep(0.001)
        close()

    confinement.close_descriptors = close_late
    Zygote(control.detach()).serve()
control.close()
host.close()
print(os.read(reads, 99))
"""


def test_a_worker_ends_whose_zygote_was_ended_while_it_began() -> None:
    """It does not wait for a job, or for an answer, from a host that waits for its end."""
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN],
        env={"PYTHONPATH": os.pathsep.join(PATHS)},
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == b"b''\n"


def test_a_session_can_fork() -> None:
    """The calls with which a session forks and waits are open to it."""
    assert attempt("os.waitpid(os.fork() or os._exit(0), 0)", forking=True) == "done"


@pytest.mark.slow
def test_the_attempts_work_elsewhere() -> None:
    """Without layers the same attempts succeed, so their refusals mean something."""
    free = "confinement.Confinement.settle = confinement.Confinement.lock = lambda *_: None"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for name in ("read a file", "list a folder", "read its own environment"):
            assert attempt(FILES[name], setup=free) == "done"
        for what in (*NETWORK.values(), *BY_FILTER_ONLY.values()):
            if "setuid" not in what and "unshare" not in what:
                assert attempt(what, setup=free, port=port) == "done", what


def layers() -> list[str]:
    with Runtime({}, environ={}) as runtime:
        found: list[str] = runtime.run("return 1").usage["isolation"]
    return found


@pytest.mark.slow
def test_every_run_says_which_layers_it_had() -> None:
    """The layers in force are in the usage of each outcome, also of one that was killed."""
    with Runtime({}, environ={}) as runtime:
        usual = runtime.run("return 1").usage["isolation"]
        killed = runtime.run("while true do end", cpu=0.1)
    assert {"rlimits", "no_new_privs", "undumpable"} <= {*usual} <= {*confinement.LAYERS}
    assert isinstance(killed.error, LimitExceeded)
    assert killed.usage["isolation"] == usual


WITHOUT_LANDLOCK = """
import struct, sys
sys.path[:] = {paths!r}
from kosmolua.sandbox import linux
linux.forbid_new_privileges()
step = struct.Struct("=HBBI").pack
program = step(0x20, 0, 0, 0) + step(0x15, 0, 1, 444) + step(6, 0, 0, 0x50026) + step(6, 0, 0, 0x7FFF0000)
call, arguments = linux.filtering(program)
call(*arguments)
from kosmolua.cli import main
main(sys.argv[1:])
"""


def run_without_landlock(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program on a kernel that answers as if it had never heard of Landlock."""
    command = [sys.executable, "-c", WITHOUT_LANDLOCK.format(paths=PATHS), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.mark.slow
def test_a_missing_layer_is_told_and_does_not_stop_a_run() -> None:
    """Best effort: the script runs, and the trace says in which layers."""
    done = run_without_landlock("run", "-e", "print('it runs')", "--trace")
    assert done.stdout == "it runs\n"
    assert done.returncode == 0
    told = next(line for line in done.stderr.splitlines() if "isolation" in line)
    assert "rlimits" in told
    assert "landlock" not in told


def test_a_missing_layer_can_be_made_a_refusal() -> None:
    """With --require-isolation nothing runs, the layer is named, and the exit status is a configuration error's."""
    done = run_without_landlock("run", "-e", "print('it runs')", "--require-isolation")
    assert done.stdout == ""
    assert "lacks landlock" in done.stderr.replace("seccomp, ", "")
    assert done.returncode == 3


def test_the_doctor_names_a_missing_layer() -> None:
    """As a note, since scripts run without it."""
    done = run_without_landlock("doctor", "--json")
    (sandbox,) = (check for check in json.loads(done.stdout)["checks"] if check["subject"] == "sandbox")
    assert sandbox["state"] == "note"
    assert "lacks landlock" in sandbox["words"].replace("seccomp, ", "")


def test_a_runtime_can_require_isolation() -> None:
    """A runtime that requires isolation runs scripts where every layer is in force; else outcomes are ConfigErrors."""
    missing = {*confinement.LAYERS} - {*layers()}
    with Runtime({}, environ={}, require_isolation=True) as runtime:
        outcome = runtime.run("return 1")
    assert isinstance(outcome.error, ConfigError) if missing else outcome.result == [1]


LOOKED_INTO = """
import ctypes, os, sys
sys.path[:] = {paths!r}
from kosmolua.processes import launch
libc = ctypes.CDLL(None)
ready, go = os.pipe()
child = os.fork()
if child == 0:
    os.setuid(os.getuid() or 65534)
    libc.prctl(4, 1, 0, 0, 0)
    if {hidden}:
        launch.hide()
    os.write(go, b".")
    os.read(os.pipe()[0], 1)
os.read(ready, 1)
os.setuid(os.getuid() or 65534)
try:
    open(f"/proc/{{child}}/environ").read()
    print("read")
except OSError as error:
    print("refused")
os.kill(child, 9)
"""


@pytest.mark.parametrize(("hidden", "answer"), [(False, "read"), (True, "refused")])
def test_the_host_hides_from_processes_of_its_own_user(hidden: bool, answer: str) -> None:
    """What the host makes of itself keeps another process of the same user from its environment and memory."""
    code = LOOKED_INTO.format(paths=PATHS, hidden=hidden)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"{answer}\n", done.stderr


@pytest.mark.slow
def test_starting_a_sandbox_hides_the_host() -> None:
    """From its first run on a host can't be looked into."""
    code = f"import ctypes, sys; sys.path[:] = {PATHS!r}; from kosmolua import Runtime; Runtime({{}}).run('return 1')"
    code += "; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "0\n", done.stderr


# The filter itself, as the kernel would judge it

X86_64, AARCH64 = 0xC000003E, 0xC00000B7
ALLOWED, KILLED, REFUSED = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM


def judge(program: bytes, machine: int, call: int, *arguments: int) -> int:
    """Return the verdict of a filter, by the rules of classic BPF."""
    data = struct.pack("=IIQ6Q", call, machine, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("=HBBI", program))
    position = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[position]
        position += 1
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
        elif code == 0x06:
            return int(value)
        else:
            holds = accumulator == value if code == 0x15 else bool(accumulator & value)
            position += if_true if holds else if_false


@pytest.mark.parametrize(("column", "machine"), [(0, X86_64), (1, AARCH64)])
def test_the_filter_allows_its_table_and_nothing_else(column: int, machine: int) -> None:
    """Each call of the table is allowed, each other number refused, and a process of another machine killed."""
    calls = seccomp._RUNNING
    program = seccomp.assemble(calls, column, machine)
    numbers = {columns[column] for columns in calls.values()}
    for number in range(600):
        assert (judge(program, machine, number) == ALLOWED) == (number in numbers)
        assert judge(program, machine, number | 0x40000000) == REFUSED
    assert judge(program, X86_64 + AARCH64 - machine, 0) == KILLED


def test_the_filter_looks_at_arguments() -> None:
    """No memory that can be executed, no limit of another process, no fork into a new namespace."""
    program = seccomp.assemble(seccomp._RUNNING | seccomp._FORKING, 0, X86_64)
    mmap, clone, prlimit = 9, 56, 302
    assert judge(program, X86_64, mmap, 0, 4096, 3) == ALLOWED
    assert judge(program, X86_64, mmap, 0, 4096, 7) == REFUSED
    assert judge(program, X86_64, prlimit, 0, 7) == ALLOWED
    assert judge(program, X86_64, prlimit, 4711, 7) == REFUSED
    assert judge(program, X86_64, clone, 0x01200011) == ALLOWED
    assert judge(program, X86_64, clone, 0x10000011) == REFUSED


HEADERS = {0: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", 1: "/usr/include/asm-generic/unistd.h"}


@pytest.mark.parametrize(("column", "header"), HEADERS.items())
def test_the_numbers_are_the_kernels(column: int, header: str) -> None:
    """The table has the numbers of the kernel's own headers."""
    path = Path(header)
    if not path.exists():
        pytest.skip("the kernel's headers are not here")
    defined = dict(re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", path.read_text()))
    for name, columns in (seccomp._RUNNING | seccomp._FORKING).items():
        assert columns[column] is None or str(columns[column]) == defined[name], name
