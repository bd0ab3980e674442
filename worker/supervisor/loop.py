"""The supervisor: one thread that waits for output, signals, exits and timers, and acts on them."""

import contextlib
import os
import re
import selectors
import signal
import time
from functools import partial
from typing import Any

from core.kit.schema import ROOT
from worker.supervisor import prepare, watcher
from worker.supervisor.boot import Booted
from worker.supervisor.children import CHILD_MARK, Child, starter
from worker.supervisor.render import Renderer, box
from worker.supervisor.stream import Output, Pipes
from worker.supervisor.watcher import Watcher

# together with half a second for the rescue: within 10 s whatever hangs
APPS_MAY_TAKE_S = 6.0
STORES_MAY_TAKE_S = 2.5
_LOOK_EVERY_S = 0.15
_SLOW_AFTER_S = 45.0


class Supervisor:
    """Runs until it is told to stop. Everything it starts is ended by `run` before it returns."""

    def __init__(self, booted: Booted, output: Output, renderer: Renderer) -> None:
        self._booted = booted
        self._output, self._renderer = output, renderer
        self._selector = selectors.DefaultSelector()
        self._pipes = Pipes(self._selector, renderer, output)
        self._watcher = Watcher(lambda wrong: self.say(wrong, "error"))
        self._looking = False
        self._next_look = 0.0
        self._link: str | None = None
        self._ready_said = self._slow_said = False
        self._asked_to_stop = 0
        self._stopping = False
        self._stores = self._store_children()
        self._apps = [
            self._app(p.name, p.argv(booted.env_for(p), booted.procfile_path), booted.env_for(p)) for p in booted.programs
        ]

    def run(self) -> int:
        """Start everything, keep it running until a signal comes, then end it. Returns the exit code."""
        self._catch_signals()
        try:
            for child in self._apps:
                self._spawn(child)
            self._tell_others()
            self._ask_for_link()
            while not self._asked_to_stop:
                self._turn(self._timeout())
                self._keep_alive()
                self._look_for_ready()
        finally:
            self._stop()
        return 0

    # -- starting -----------------------------------------------------------------------------------------------

    def _app(self, name: str, argv: list[str], env: dict[str, str]) -> Child:
        return Child(name, starter(argv, env, ROOT, partial(self._pipes.add, name), self._booted.nursery), mark=env[CHILD_MARK])

    def _store_children(self) -> list[Child]:
        children = []
        for name, store, how in (
            ("postgres", self._booted.stores.postgres, signal.SIGINT),
            ("valkey", self._booted.stores.valkey, signal.SIGTERM),
        ):
            if store is None:
                continue

            def start(store: Any = store) -> Any:
                store.launch()
                return store.process

            child = Child(name, start, is_store=True, stop_signal=how, process=store.process, started=time.monotonic())
            child.ready()
            children.append(child)
        return children

    def _spawn(self, child: Child) -> None:
        wrong = child.spawn()
        if wrong:
            self.say(f"{child.name} could not be started: {wrong}", "error")

    # -- one turn of the loop -----------------------------------------------------------------------------------

    @property
    def _all(self) -> list[Child]:
        return self._stores + self._apps

    def _timeout(self) -> float:
        due = [c.restart_at for c in self._all if c.restart_at is not None]
        if self._pending():
            due.append(self._next_look)
        return max(0.0, min([t - time.monotonic() for t in due] + [1.0]))

    def _turn(self, timeout: float) -> None:
        if self._output.waiting:
            timeout = min(timeout, 0.05)
        for key, _ in self._selector.select(timeout):
            if isinstance(key.data, str):
                self._pipes.read(key.fd, key.data)
            else:
                key.data()
        self._output.write()

    def _keep_alive(self) -> None:
        changed = False
        for child in self._all:
            code = child.ended()
            if code is not None:
                changed = True
                self._died(child, code)
            if child.restart_at is not None and child.restart_at <= time.monotonic():
                changed = True
                self._spawn(child)
        if changed:
            self._tell_others()
        self._reap_adopted()
        self._booted.state.keep_guarded()
        if self._booted.nursery:
            self._booted.nursery.keep()

    def _reap_adopted(self) -> None:
        """Orphans below us become our children: take the ended ones away."""
        booted = self._booted
        helpers = {booted.nursery.pid if booted.nursery else None, booted.state.guardian_pid}
        ours = {c.pid for c in self._all} | helpers
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in ours:
                    return  # its own turn comes
                os.waitpid(ended.si_pid, 0)

    def _died(self, child: Child, code: int) -> None:
        child.kill_leftovers()
        wait = child.plan_restart()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        self.say(f"{child.name} {how}: starting it again in {wait:g} s", "warning")
        if child.name.startswith("worker-"):
            self._watcher.ask(partial(rescue, child.name))

    # -- readiness ----------------------------------------------------------------------------------------------

    def _pending(self) -> list[Child]:
        return [c for c in self._all if c.state == "starting"]

    def _look_for_ready(self) -> None:
        now = time.monotonic()
        if not self._pending():
            self._say_ready()
        elif now >= self._next_look and not self._looking:
            self._looking = True
            booted = self._booted
            ages = {c.name: now - c.started for c in self._pending()}
            addresses = {"web": booted.web_port, "gateway": booted.gateway_port}
            self._watcher.ask(
                partial(watcher.ready_among, ages, addresses, booted.settings.bind_host, booted.addresses.database),
                partial(self._have_ready, ages, now),
            )
        if not self._ready_said and not self._slow_said and now - self._booted.began > _SLOW_AFTER_S:
            self._slow_said = True
            names = ", ".join(c.name for c in self._all if c.state != "running")
            self.say(f"still waiting for {names or 'the sign-in link'}: see their lines above", "warning")

    def _have_ready(self, ages: dict[str, float], asked_at: float, ready: set[str] | None) -> None:
        self._looking = False
        self._next_look = time.monotonic() + _LOOK_EVERY_S
        changed = False
        for child in self._pending():
            # an answer about the process before this one does not count
            if child.name in (ready or ()) and child.started <= asked_at:
                child.ready()
                changed = True
        if changed:
            self._tell_others()

    def _ask_for_link(self) -> None:
        """Bring schedules up to date and get a sign-in token while the processes start."""
        said = bytearray()

        def take(fd: int) -> None:
            data = os.read(fd, 4096)
            said.extend(data)
            if data:
                return
            self._selector.unregister(fd)
            os.close(fd)
            found = re.search(rf"^{prepare.TOKEN_LINE}(\S+)$", said.decode(errors="replace"), re.MULTILINE)
            self._link = f"{self._booted.base_url}/auth/link?token={found[1]}" if found else ""
            for note in re.findall(rf"^{prepare.NOTE_LINE}(.+)$", said.decode(errors="replace"), re.MULTILINE):
                self.say(note, "warning")
            if not found:
                self.say(f"no sign-in link could be made: {said.decode(errors='replace').strip()}", "error")

        def listen(fd: int) -> None:
            self._selector.register(fd, selectors.EVENT_READ, partial(take, fd))

        starter(prepare.command(demo=False, accounts=True), dict(os.environ), ROOT, listen, self._booted.nursery)()

    def _say_ready(self) -> None:
        if self._ready_said or self._link is None or any(c.state != "running" for c in self._all):
            return
        self._ready_said = True
        booted = self._booted
        took = time.monotonic() - booted.began
        lines = [f"ManageAI Ops is ready ({took:.1f} s)", "", f"Dashboard  {booted.base_url}"]
        if self._link:
            lines += [f"Sign in    {self._link}", f"           works once, within {prepare.LINK_MINUTES} minutes"]
        else:
            lines += ["Sign in    `ops users link EMAIL` makes a sign-in link"]
        lines += [f"API        http://{booted.settings.bind_host}:{booted.gateway_port}", "Stop       Ctrl-C"]
        for line in box(lines, self._renderer.colour):
            self._output.put(line)
        self._tell_others()

    # -- the end ------------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._stopping = True
        self.say("stopping")
        if self._booted.nursery:
            self._booted.nursery.end()
        for child in self._all:
            child.restart_at = None
        killed = self._end(self._apps, APPS_MAY_TAKE_S)
        for name in killed:
            if name.startswith("worker-"):
                self._watcher.ask(partial(rescue, name))
        if killed:
            rescued: list[bool] = []
            self._watcher.ask(lambda: True, lambda _: rescued.append(True))
            end = time.monotonic() + 0.5
            while not rescued and time.monotonic() < end:
                self._turn(0.05)
        self._end(self._stores, STORES_MAY_TAKE_S)
        self._pipes.drain()
        self._booted.state.release()
        self.say("stopped")

    def _end(self, children: list[Child], wait_s: float) -> list[str]:
        """Ask these to end, kill those that have not in time (or at a second Ctrl-C). Returns the killed ones' names."""
        for child in children:
            child.signal(child.stop_signal)
        asked, end = self._asked_to_stop, time.monotonic() + wait_s
        while [c for c in children if c.process]:
            if time.monotonic() > end or self._asked_to_stop > max(asked, 1):
                break
            self._turn(0.05)
            for child in children:
                child.ended()
        killed = [c for c in children if c.process]
        for child in killed:
            self.say(f"{child.name} did not end in time: killed", "warning")
            child.signal(signal.SIGKILL)
        for child in children:
            child.kill_leftovers()
            if child.process:
                child.process.wait()
        return [c.name for c in killed]

    # -- telling ------------------------------------------------------------------------------------------------

    def say(self, message: str, level: str = "info") -> None:
        """A line of the supervisor's own."""
        self._output.put(self._renderer.say("ops", message, level))

    def _tell_others(self) -> None:
        booted = self._booted
        self._booted.state.write(
            {
                "database_url": booted.addresses.database,
                "database_admin_url": booted.addresses.admin,
                "redis_url": booted.addresses.redis,
                "web_port": booted.web_port,
                "gateway_port": booted.gateway_port,
                "url": booted.base_url,
                "started_at": time.time() - (time.monotonic() - booted.began),
                "ready": self._ready_said,
                "processes": [
                    {"name": c.name, "pid": c.pid, "state": c.state, "since": c.since, "restarts": c.restarts} for c in self._all
                ],
            }
        )

    def _catch_signals(self) -> None:
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ, partial(_empty, reader))
        self._selector.register(self._watcher.fd, selectors.EVENT_READ, self._watcher.deliver)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for asks in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(asks, self._ask_to_stop)

    def _ask_to_stop(self, *_: object) -> None:
        self._asked_to_stop += 1

    def read_own_log(self, fd: int) -> None:
        """Show this process's own log lines in the stream, like those of the others."""
        self._pipes.add("ops", fd)


def _empty(fd: int) -> None:
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 4096)


def rescue(worker: str) -> int:
    """Take back at once what a worker held that is gone."""
    # imported only now: the ORM costs 50 MB, and most supervisors never lose a worker
    from core.kit import log
    from core.runtime.runs import dispatch

    log.configure("ops")
    return dispatch.rescue_worker(worker)
