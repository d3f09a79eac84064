"""Keeps one job of the process sandbox: starts it apart from the host, and leaves nothing of it alive.

A script of its own (``python -I -S keeper.py STATUS_FD``, standard library only) between the measuring process and the job.
Where Linux lets it, the job gets its own process, mount, network and IPC namespaces: the whole file system is read-only
but for the folders it was given, hidden paths are covered, there is no network, and its end is the end of every process it
started, however often it forked or called setsid. Where it does not, the keeper is the subreaper of whatever the job
starts, and kills until nothing is left. Either way the job dies with the keeper, and the keeper with the measuring process.

The spec comes as JSON on standard input; what happened goes as JSON lines to STATUS_FD.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

LINUX = sys.platform.startswith("linux")

# linux/sched.h, linux/mount.h, linux/prctl.h, linux/capability.h, linux/sockios.h
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x00020000,
    0x08000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 8, 4096, 16384, 1 << 18
MOUNT_ATTR_RDONLY, AT_RECURSIVE, AT_FDCWD, SYS_MOUNT_SETATTR = 1, 0x8000, -100, 442
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = (
    1,
    4,
    24,
    36,
    38,
)
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
# Numbers of capset(2) and sched_setaffinity(2), and the AUDIT_ARCH_ of linux/audit.h
SYS_CAPSET, SYS_SCHED_SETAFFINITY, AUDIT_ARCH = {
    "x86_64": (126, 203, 0xC000003E),
    "aarch64": (91, 122, 0xC00000B7),
}.get(os.uname().machine, (0, 0, 0))
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
LAST_CAPABILITY = 63
PROCESSES = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def prctl(option: int, argument: int) -> None:
    """``prctl(2)`` with one argument; nothing where there is none.

    Raises:
        OSError: the kernel refused.
    """
    if LINUX:
        zero = ctypes.c_ulong(0)
        _check(_libc.prctl(option, ctypes.c_ulong(argument), zero, zero, zero), f"prctl {option}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = (os.fsencode(word) if word is not None else None for word in (source, target, kind))
    _check(
        _libc.mount(*encoded, ctypes.c_ulong(flags), data.encode() if data else None), f"mount on {target}"
    )


def _set_read_only(path: str, on: bool, flags: int) -> None:
    # struct mount_attr of mount_setattr(2): attr_set, attr_clr, propagation, userns_fd
    attributes = struct.pack("QQQQ", MOUNT_ATTR_RDONLY if on else 0, 0 if on else MOUNT_ATTR_RDONLY, 0, 0)
    result = _libc.syscall(
        ctypes.c_long(SYS_MOUNT_SETATTR),
        ctypes.c_int(AT_FDCWD),
        os.fsencode(path),
        ctypes.c_uint(flags),
        attributes,
        ctypes.c_size_t(len(attributes)),
    )
    _check(result, f"mount_setattr on {path}")


def _leave_host(spec: dict[str, Any]) -> None:
    """New namespaces. Without root, a user namespace that maps this user to itself comes first."""
    flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | (0 if spec["network"] else CLONE_NEWNET)
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        _check(_libc.unshare(flags), "unshare")
        return
    _check(_libc.unshare(flags | CLONE_NEWUSER), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        Path(f"/proc/self/{name}").write_text(text)


def _furnish(spec: dict[str, Any]) -> None:
    """The job's own view of the file system and the network, from within its new namespaces."""
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    for path in spec["writable"]:
        _mount(path, path, None, MS_BIND)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
    _set_read_only("/", True, AT_RECURSIVE)
    for path in spec["writable"]:
        _set_read_only(path, False, 0)
    if Path("/dev/shm").is_dir():  # noqa: S108 - mounted anew, not used
        _mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, f"mode=1777,size={spec['memory']}")  # noqa: S108
    for path in spec["hidden"]:
        if Path(path).is_dir():
            _mount("hidden", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "mode=555,size=4k")
        elif Path(path).exists():
            _mount("/dev/null", path, None, MS_BIND)
    if not spec["network"]:
        _loopback_up()


def _loopback_up() -> None:
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(handle, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def _give_up_powers() -> None:
    """No capability, now or after any exec; root included."""
    if not LINUX:
        return
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:  # past the last one this kernel knows, or not ours to drop
            break
    if SYS_CAPSET:
        header, nothing = struct.pack("Ii", 0x20080522, 0), struct.pack("6I", *[0] * 6)
        _libc.syscall(ctypes.c_long(SYS_CAPSET), header, nothing)


def _stay_on_cores() -> None:
    """Refuse sched_setaffinity(2) from here on (EPERM), or a job could give itself all cores of the machine."""
    if not LINUX or not AUDIT_ARCH:
        return
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
    program = (
        (load, 0, 0, 4),  # seccomp_data.arch
        (equal, 0, 3, AUDIT_ARCH),
        (load, 0, 0, 0),  # seccomp_data.nr
        (at_least, 1, 0, 0x40000000),  # the x32 numbers of the same calls
        (equal, 0, 1, SYS_SCHED_SETAFFINITY),
        (answer, 0, 0, 0x00050000 | errno.EPERM),
        (answer, 0, 0, 0x7FFF0000),
    )
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    # struct sock_fprog: length, padding, pointer
    whole = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(filters)))
    zero = ctypes.c_ulong(0)
    mode = ctypes.c_ulong(SECCOMP_MODE_FILTER)
    _check(_libc.prctl(PR_SET_SECCOMP, mode, ctypes.byref(whole), zero, zero), "seccomp")


def _become(spec: dict[str, Any]) -> NoReturn:
    """The job itself, in the process that was forked for it."""
    try:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        if LINUX and spec["cores"]:
            os.sched_setaffinity(0, spec["cores"])
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for kind, limit in ((resource.RLIMIT_FSIZE, spec["file_bytes"]), (resource.RLIMIT_NPROC, PROCESSES)):
            hard = resource.getrlimit(kind)[1]
            limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
            resource.setrlimit(kind, (limit, limit))
        if not spec["trusted"]:
            _give_up_powers()
            _stay_on_cores()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.chdir(spec["cwd"])
        os.execve("/bin/sh", ["sh", "-c", spec["command"]], os.environ)  # noqa: S606 - the configuration's own words
    except BaseException as error:
        os.write(2, f"the job could not be started: {error}\n".encode())
        os._exit(127)


def _say(status: int, **what: Any) -> None:
    os.write(status, json.dumps({**what, "clock": time.monotonic()}).encode() + b"\n")


def _start(spec: dict[str, Any], status: int) -> int:
    _say(status, at="started")
    child = os.fork()
    if child == 0:
        _become(spec)
    return child


def _wait_for(child: int) -> int:
    """Wait for one child, reaping whatever else ends meanwhile."""
    while True:
        pid, code = os.waitpid(-1, 0)
        if pid == child:
            return code


def _die_with(parent: int, how: signal.Signals) -> None:
    prctl(PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:  # it died before this was set
        os._exit(1)


def _namespaced(spec: dict[str, Any], status: int) -> None:
    """The job under an init of its own namespace: when that ends, the kernel kills and reaps all the rest."""
    _leave_host(spec)
    _die_with(spec["parent"], signal.SIGKILL)
    init = os.fork()
    if init == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            prctl(PR_SET_DUMPABLE, 0)
            _furnish(spec)
            code = _wait_for(_start(spec, status))
            _say(status, at="ended", code=os.waitstatus_to_exitcode(code))
        except OSError as error:
            _say(status, at="failed", error=str(error))
        os._exit(0)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(init, signal.SIGKILL))
    _wait_for(init)


def _guarded(spec: dict[str, Any], status: int) -> None:
    """The job without namespaces: what it starts falls to this process, which kills until nothing is left."""
    try:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        prctl(PR_SET_DUMPABLE, 0)
    except OSError:
        pass  # an older kernel: what is killed below is then only the job's own group
    child = 0

    def stop(*_: object) -> None:
        if child:
            _kill_all(child)

    signal.signal(signal.SIGTERM, stop)
    _die_with(spec["parent"], signal.SIGTERM)
    child = _start(spec, status)
    code = _wait_for(child)
    _say(status, at="ended", code=os.waitstatus_to_exitcode(code))
    while True:
        _kill_all(child)
        try:
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return
        time.sleep(0.001)


def _kill_all(child: int) -> None:
    for pid in descendants(os.getpid()) if LINUX else ():
        _kill(pid)
    try:
        os.killpg(child, signal.SIGKILL)
    except OSError:
        _kill(child)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise


def descendants(ancestor: int) -> list[int]:
    """Process ids below one process, nearest first, by what /proc shows now."""
    found: list[int] = []
    queue = [ancestor]
    while queue:
        for child in _children(queue.pop()):
            found.append(child)
            queue.append(child)
    return found


def _children(pid: int) -> Iterable[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names are all that is wanted, 20 times a second
    except OSError:
        return
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                yield from map(int, file.read().split())
        except OSError:
            continue


def main() -> None:
    """Run the job described on standard input, and report to the descriptor named in the first argument."""
    status = int(sys.argv[1])
    os.set_inheritable(status, False)
    spec = json.load(sys.stdin)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    try:
        (_namespaced if spec["isolated"] else _guarded)(spec, status)
    except OSError as error:
        _say(status, at="failed", error=str(error))
        return
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1024 if LINUX else 1  # ru_maxrss: kilobytes on Linux, bytes on macOS
    _say(status, at="dead", cpu=usage.ru_utime + usage.ru_stime, peak=usage.ru_maxrss * unit)


if __name__ == "__main__":
    main()
