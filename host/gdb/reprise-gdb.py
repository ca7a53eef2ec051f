"""Inside gdb: `reprise gdb` starts gdb with this, attached to the runner of a program.

The runner is replaced by another process when the program failed, when a new build came, or when a
frame of another build was sought. gdb goes along: a thread asks the host which process it is, and
what has to be done in gdb is posted to gdb's own thread.

A seek changes memory between two frames. Where the program stands between frames, it is let run until
the host has done it and calls runner_hold, where a breakpoint stops it. Where it stands in the middle
of a step, the host ends that runner, and the frame is restored in a fresh one.
"""
import json
import os
import signal
import socket
import threading
import time

import gdb

POLL_S = 0.1
PATIENCE_S = 30  # for a fresh runner, and for answers of the host


class Host:
    """The host's control socket: one line of JSON to it, one back."""

    def __init__(self, path):
        self.path = path

    def send(self, request):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE_S)
        connection.connect(self.path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        return connection

    @staticmethod
    def receive(connection, timeout_s=PATIENCE_S):
        """None: the answer did not come in that time, or the host is gone. A request whose connection is
        closed before its answer came is not obeyed."""
        connection.settimeout(timeout_s)
        text = b""
        try:
            while not text.endswith(b"\n"):
                part = connection.recv(65536)
                if not part:
                    return None
                text += part
        except OSError:
            return None
        return json.loads(text)

    def ask(self, timeout_s=PATIENCE_S, **request):
        """None: the host is gone."""
        try:
            with self.send(request) as connection:
                return self.receive(connection, timeout_s)
        except OSError:
            return None

    def status(self):
        return self.ask(cmd="status")


def say(text):
    gdb.write("[reprise: %s]\n" % text)
    gdb.flush()


def lives(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def where(status):
    return "build %d, frame %d" % (status["build"], status["frame"])


def object_of(frame):
    table = frame.find_sal().symtab
    return table.objfile.filename if table else None


class Watch:
    """A value that is looked at whenever a frame was made."""

    def __init__(self, expression):
        self.expression = expression
        self.value = self.look()

    def look(self):
        try:
            return gdb.parse_and_eval(self.expression).format_string()
        except gdb.error as error:
            return "<%s>" % error


class FrameEnd(gdb.Breakpoint):
    """Each frame's end, in the runner; enabled while something is watched."""

    def __init__(self, address, session):
        super().__init__("*%d" % address, internal=True)
        self.silent = True
        self.enabled = bool(session.watches)
        self.session = session

    def stop(self):
        changed = False
        for watch in self.session.watches:
            value = watch.look()
            if value != watch.value:
                status = self.session.host.status()
                frame = status["frame"] + 1 if status else 0
                say("frame %d: %s = %s, before it %s" % (frame, watch.expression, value, watch.value))
                watch.value = value
                changed = True
        return changed


class Hold(gdb.Breakpoint):
    """Where the runner comes by when what was asked of the host is done."""

    def __init__(self, address):
        super().__init__("*%d" % address, internal=True)
        self.silent = True
        self.hit = False

    def stop(self):
        self.hit = True
        return True


class Failure(gdb.Breakpoint):
    """assert, exit and their like end a step without a signal; and there are signals that gdb does not
    see, since the runner notices writes by them."""

    def __init__(self, address, unseen):
        super().__init__("*%d" % address, internal=True)
        self.silent = True
        self.unseen = unseen
        self.hit = False

    def stop(self):
        text = gdb.parse_and_eval("(char *)$rdi")  # the argument
        self.hit = int(text) != 0 or self.unseen is not None
        if self.hit:
            say("the program failed: " + (text.string() if int(text) else self.unseen))
        return self.hit


class Session:
    def __init__(self, host):
        self.host = host
        self.pid = 0
        self.busy = 0  # a command of ours runs: what the thread noticed, it sees itself
        self.posted = False
        self.ran = False  # the process that ended was not stopped
        self.resume = False  # as soon as it has stopped
        self.left = False  # by `detach`: it is not followed any more
        self.over = threading.Event()  # the program ended, or gdb
        self.watches = []
        self.points = []  # where our breakpoints in the runner are
        self.hold = self.failure = self.frame_end = None

    # ---- to be at the right process ----

    def start(self):
        gdb.execute("set breakpoint pending on")
        gdb.execute("handle SIG40 nostop noprint pass", to_string=True)  # the watchdog's
        status = self.host.ask(cmd="debugger", a=os.getpid())
        if not status or not status["ok"]:
            raise gdb.GdbError("reprise: the program ended")
        self.attach_next(0)
        gdb.events.exited.connect(self.on_exit)
        gdb.events.stop.connect(self.on_stop)
        gdb.events.gdb_exiting.connect(self.end)
        self.thread_start()

    def thread_start(self):
        # Signals are gdb's own thread's.
        mine = {signal.SIGINT, signal.SIGCHLD, signal.SIGALRM, signal.SIGWINCH, signal.SIGCONT}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, mine)
        self.thread = threading.Thread(target=self.look_out, daemon=True)
        self.thread.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def end(self, *unused):
        """gdb takes Python apart, in which no thread may be left."""
        self.over.set()
        self.thread.join()
        self.host.ask(timeout_s=1, cmd="debugger", a=0)

    def look_out(self):
        told = False
        while not self.over.wait(POLL_S):
            if self.left != told:
                told = self.left
                self.host.ask(cmd="debugger", a=0 if told else os.getpid())
            status = self.host.ask(timeout_s=1, cmd="status")
            replaced = status and status["runner_pid"] not in (0, self.pid)
            idle = not (self.posted or self.busy or self.left)
            if idle and (replaced or self.resume):
                self.posted = True
                gdb.post_event(self.follow if replaced else self.resume_now)

    def attach(self, status):
        """Of the runner only what is needed to unwind is read: its functions would stand before the
        program's variables of the same names."""
        pid = status["runner_pid"]
        if not self.points:
            runner = os.readlink("/proc/%d/exe" % pid)
            if os.access(runner + ".frames", os.R_OK):
                gdb.execute("file " + runner + ".frames", to_string=True)
            else:
                gdb.execute("exec-file " + runner, to_string=True)
        gdb.execute("attach %d" % pid, to_string=True)
        self.pid = pid
        self.ran = self.left = self.resume = False
        unseen = {"mprotect": "SIGSEGV", "wp-sigbus": "SIGBUS"}.get(status["tracking"])
        if unseen:
            gdb.execute("handle %s nostop noprint pass" % unseen, to_string=True)
        points = [status[name] for name in ("hold_at", "fail_at", "frame_end_at")]
        if points != self.points:
            for point in (self.hold, self.failure, self.frame_end):
                if point:
                    point.delete()
            self.hold, self.failure = Hold(points[0]), Failure(points[1], unseen)
            self.frame_end = FrameEnd(points[2], self)
            self.points = points

    def leave(self):
        """The process that gdb has is not the runner any more."""
        if gdb.selected_inferior().pid:
            gdb.execute("with confirm off -- kill", to_string=True)

    def attach_next(self, former):
        """Attaches to the runner that took the place of `former`, and returns the host's status."""
        end = time.monotonic() + PATIENCE_S
        problem = "no runner took its place"
        while time.monotonic() < end:
            status = self.host.status()
            if not status:
                self.over.set()
                raise gdb.GdbError("reprise: the program ended")
            if status["runner_pid"] not in (0, former):
                try:
                    self.attach(status)
                    say("runner %d: %s" % (self.pid, where(status)))
                    return status
                except gdb.error as error:  # it was replaced meanwhile, or the system forbids it
                    problem = str(error)
            time.sleep(0.02)
        raise gdb.GdbError("reprise: cannot attach: " + problem)

    def on_exit(self, event):
        """The thread acts on it: what is posted from here while gdb quits is never done, and taking it
        apart ends gdb with a fault."""
        self.ran = True
        self.left = lives(self.pid)

    def follow(self):
        """The runner was replaced: goes along, and runs on where it ran before."""
        self.posted = False
        inferior = gdb.selected_inferior()
        if self.busy or self.over.is_set():
            return
        if inferior.pid and not self.is_stopped():
            return  # its end will be told
        try:
            with self:
                status = self.host.status()
                if status and status["runner_pid"] == inferior.pid:
                    return
                ran = self.ran
                self.leave()
                self.attach_next(self.pid)
                self.resume = ran  # later: at the prompt `attach` returns before the process has stopped
        except gdb.error as error:
            gdb.write("%s\n" % error)
        except gdb.GdbError as error:
            gdb.write("%s\n" % error)

    def is_stopped(self):
        threads = gdb.selected_inferior().threads()
        return bool(threads) and not any(thread.is_running() for thread in threads)

    def resume_now(self):
        self.posted = False
        status = self.host.status()
        if status and self.is_stopped():
            self.resume = False
            if not status["failure"]:
                with self:
                    self.run_on()

    def __enter__(self):
        self.busy += 1
        return self

    def __exit__(self, *unused):
        self.busy -= 1

    # ---- running ----

    def on_stop(self, event):
        if not self.failure.hit:
            return
        self.failure.hit = False
        frame, status = gdb.newest_frame(), self.host.status()
        while frame and status and object_of(frame) != status["build_file"]:
            frame = frame.older()
        if frame:
            frame.select()
            gdb.execute("frame")

    def alive(self):
        return gdb.selected_inferior().pid != 0

    def run_on(self):
        """Continues, from runner to runner, until something stops the program."""
        while True:
            gdb.execute("continue")
            if self.alive():
                return
            status = self.attach_next(self.pid)
            if status["failure"]:
                say("the step failed: " + status["failure"]["lines"][0])
                say("stopped at the frame before it")
                return

    def run_to_hold(self):
        """Lets the program run until the host has done what it was asked for; or to a breakpoint."""
        self.hold.hit = False
        text = gdb.execute("continue", to_string=True)
        if not self.alive():
            self.attach_next(self.pid)
        elif self.hold.hit:
            say("frame %d" % self.host.status()["frame"])
        else:
            gdb.write(text)

    def let(self, run, request):
        """Asks the host, which may have to wait for the runner before it can answer, and runs."""
        with self.host.send(request) as connection:
            answer = self.host.receive(connection, POLL_S)
            if not answer or answer["ok"]:
                run()
        return answer

    def need(self):
        if not self.alive() or self.over.is_set():
            raise gdb.GdbError("reprise: no runner: the program ended")
        status = self.host.status()
        if not status:
            raise gdb.GdbError("reprise: the program ended")
        if status["runner_pid"] != self.pid:
            self.leave()
            status = self.attach_next(self.pid)
        return status

    def elsewhere(self, **request):
        """To another frame."""
        with self:
            if self.need()["runner_does"] == "step":
                answer = self.host.ask(debugger=True, **request)
                if answer and answer["ok"]:
                    self.leave()
                    self.attach_next(self.pid)
            else:
                answer = self.let(self.run_to_hold, dict(request, debugger=True))
            if answer and not answer["ok"]:
                raise gdb.GdbError("reprise: " + answer["error"])
            for watch in self.watches:
                watch.value = watch.look()

    def step(self, count):
        """To the end of a frame: in the middle of a step that of this one."""
        with self:
            inside = self.need()["runner_does"] == "step"
            if inside:
                request = {"cmd": "pause"} if count == 1 else {"cmd": "step", "a": count - 1}
            else:
                request = {"cmd": "step", "a": count}
            answer = self.let(self.run_to_hold, dict(request, debugger=True))
            if answer and not answer["ok"]:
                raise gdb.GdbError("reprise: " + answer["error"])

    def go(self):
        with self:
            status = self.need()
            if status["mode"] == "pause":
                self.let(self.run_on, {"cmd": "play"})
            else:
                self.run_on()


# ---- the commands -----------------------------------------------------------------------------------


def number(argument, least, missing=None):
    text = argument.strip()
    if not text and missing is not None:
        return missing
    try:
        value = int(gdb.parse_and_eval(text))
    except (gdb.error, ValueError):
        value = -1
    if value < least:
        raise gdb.GdbError("reprise: a number from %d on is needed" % least)
    return value


class Reprise(gdb.Command):
    """Frames of the program that `reprise run` runs: status, back, seek, step, continue, watch."""

    def __init__(self):
        super().__init__("reprise", gdb.COMMAND_RUNNING, prefix=True)

    def invoke(self, argument, from_tty):
        gdb.execute("help reprise")


class Subcommand(gdb.Command):
    def __init__(self, name, session, completer=gdb.COMPLETE_NONE):
        super().__init__("reprise " + name, gdb.COMMAND_RUNNING, completer)
        self.session = session


class Status(Subcommand):
    """reprise status
Build, frame, mode, what the runner is at."""

    def invoke(self, argument, from_tty):
        status = self.session.host.status()
        if not status:
            raise gdb.GdbError("reprise: the program ended")
        kept = (status["oldest"], status["newest"])
        gdb.write("%s of %s, frames %d to %d are kept\n" % ((where(status), status["name"]) + kept))
        gdb.write("%s; runner %d: %s\n" % (status["mode"], status["runner_pid"],
                                           {"nothing": "between two frames", "step": "in a step",
                                            "hold": "between two frames"}.get(
                                                status["runner_does"], "at work")))
        if status["failure"]:
            gdb.write("\n".join(status["failure"]["lines"]) + "\n")


class Back(Subcommand):
    """reprise back [N]
To the state N frames earlier (1), and pauses. In the middle of a step that step is given up: its
runner is ended, and gdb goes on at a fresh one, between two frames."""

    def invoke(self, argument, from_tty):
        self.session.elsewhere(cmd="back", a=number(argument, 1, 1))


class Seek(Subcommand):
    """reprise seek FRAME
To the state after a frame, and pauses. Otherwise as `reprise back`."""

    def invoke(self, argument, from_tty):
        self.session.elsewhere(cmd="seek", a=number(argument, 0))


class Step(Subcommand):
    """reprise step [N]
Makes N frames (1) and stops at the end of the last; in the middle of a step this one counts. A
breakpoint on the way stops earlier."""

    def invoke(self, argument, from_tty):
        self.session.step(number(argument, 1, 1))


class Continue(Subcommand):
    """reprise continue
Plays on, from runner to runner, until a breakpoint, a signal or a watch stops the program. In scripts
this is to be preferred to `continue`, which returns when a runner ends."""

    def invoke(self, argument, from_tty):
        self.session.go()


class WatchCommand(Subcommand):
    """reprise watch [EXPRESSION]
Stops at the end of a frame that left EXPRESSION with another value. Without one: lists them. It is
looked at once a frame; gdb's own `watch` sees each store within a frame, and no seek."""

    def invoke(self, argument, from_tty):
        session, expression = self.session, argument.strip()
        if expression:
            gdb.parse_and_eval(expression)
            session.watches.append(Watch(expression))
            session.frame_end.enabled = True
        for watch in session.watches:
            gdb.write("%s = %s\n" % (watch.expression, watch.value))


class Unwatch(Subcommand):
    """reprise unwatch [EXPRESSION]
Ends a watch; without an expression all of them."""

    def invoke(self, argument, from_tty):
        session, expression = self.session, argument.strip()
        kept = [watch for watch in session.watches if expression and watch.expression != expression]
        if expression and len(kept) == len(session.watches):
            raise gdb.GdbError("reprise: %s is not watched" % expression)
        session.watches = kept
        session.frame_end.enabled = bool(kept)


def begin():
    session = Session(Host(os.environ["REPRISE_GDB_SOCKET"]))
    Reprise()
    for name, command in (("status", Status), ("back", Back), ("seek", Seek), ("step", Step),
                          ("continue", Continue), ("unwatch", Unwatch)):
        command(name, session)
    WatchCommand("watch", session, gdb.COMPLETE_EXPRESSION)
    session.start()


begin()
