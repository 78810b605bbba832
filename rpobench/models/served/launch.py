"""`--serve COMMAND`: a server of the user's that is started for a run, and stopped after it, however the run ends.

It starts when the first question is asked, so an estimate, a wrong plan, and a run whose answers are all there start
nothing. `supervisor.py` runs it in a process of its own, which stops it even where this one is killed.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from rpobench.models.protocol import LanguageModel, OnCompletion, ReportingModel, choose_each, generate_each
from rpobench.models.served import supervisor
from rpobench.models.served.options import KEY, one_line, read_key
from rpobench.terminal import escape_controls
from rpobench.types import Chat, Completion, Decoding, RpobenchError

HOST = "127.0.0.1"
PORT = "{port}"  # stands in the command where the port goes
WAIT = 900.0  # seconds until a server must answer; large models take minutes to load
PAUSE = 0.5  # seconds between questions whether it answers
NOTICE = 10.0  # seconds between lines that say that it does not yet
PROBE_WAIT = 5.0  # seconds that one such question may take
STOP_WAIT = supervisor.GRACE + 2 * supervisor.LAST_WAIT + 5.0
LAST_LINES = 10  # of the log, shown where the server ended

# An option or a variable with a key as its value; a reference such as $OPENAI_API_KEY is none.
LITERAL_KEY = re.compile(
    r"(--?[\w-]*(?:api[-_]?key|token|secret|password)|\b\w*(?:KEY|TOKEN|SECRET|PASSWORD))(?:=|\s+)['\"]?"
    rf"(?![$\d'\"-])\S{{{supervisor.SHORTEST_SECRET},}}"
)


class LaunchedServer:
    """A server that is started when it is first needed.

    Args:
        command: What starts it, for the shell; `{port}` stands where the port goes.
        wait: Seconds that it may take until it answers.

    Attributes:
        url: Where it answers once it is started.

    Raises:
        RpobenchError: The command has no `{port}`, or holds a key.
    """

    def __init__(self, command: str, wait: float = WAIT) -> None:
        _check_command(command)
        self.command, self.wait = command, wait

        # The port is this process's until the server starts, so that nobody else gets it meanwhile.
        self._reservation = socket.socket()
        self._reservation.bind((HOST, 0))
        self.port: int = self._reservation.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}/v1"

        self._log: Path | None = None
        self._supervisor: subprocess.Popen[str] | None = None
        self._group: int | None = None

    @property
    def name(self) -> str:
        """What stands for the address in results: the command as it was typed, whatever the port."""
        return f"serve:{self.command}"

    def start(self) -> None:
        """Start the server if it does not run yet, and return when it answers.

        Raises:
            RpobenchError: It ended, now or since it was started, or did not answer in time.
        """
        if self._supervisor is not None:
            self.check_alive()
            return

        try:
            self._spawn()
            self._wait_until_up()
        except BaseException:
            self.stop()
            raise

    def check_alive(self) -> None:
        """Check that the server has not ended by itself.

        Raises:
            RpobenchError: It has; its last lines are on stderr.
        """
        if self._supervisor is None or self._supervisor.poll() is None:
            return

        self._print_last_lines()
        raise RpobenchError(
            f"--serve: the server ended with exit code {self._supervisor.returncode} ({self._last_line()}); mend the "
            f"command, or look into {self._log}; what was answered is kept"
        )

    def stop(self) -> None:
        """Stop the server with everything that it started; nothing happens where it does not run."""
        self._reservation.close()
        process, self._supervisor = self._supervisor, None
        if process is None:
            return

        process.terminate()
        try:
            process.wait(STOP_WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

        if process.returncode < 0 and self._group:  # the supervisor was killed, and stopped nothing
            with suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)

    def _spawn(self) -> None:
        self._reservation.close()
        descriptor, log_name = tempfile.mkstemp(prefix="rpobench-serve-", suffix=".log")
        os.close(descriptor)
        self._log = Path(log_name)
        print(f"--serve: starting the server on port {self.port}; its log is {self._log}", file=sys.stderr)

        arguments = [str(os.getpid()), log_name, self.command.replace(PORT, str(self.port))]
        self._supervisor = subprocess.Popen(
            [sys.executable, "-P", supervisor.__file__, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process, which then stops the server
            text=True,
        )
        assert self._supervisor.stdout is not None
        with self._supervisor.stdout as group_line:
            self._group = int(group_line.readline() or 0)

    def _wait_until_up(self) -> None:
        """Ask until the server lists its models, telling now and then that it does not yet."""
        start = time.monotonic()
        next_notice = NOTICE

        while True:
            self.check_alive()
            fault = self._probe()
            seconds = time.monotonic() - start
            if fault is None:
                break

            if seconds >= self.wait:
                self._print_last_lines()
                raise RpobenchError(
                    f"--serve: no answer of {self.url}/models within {self.wait:g} s ({fault}); give more time with "
                    f"--serve-wait, mend the command, or look into {self._log}"
                )
            if seconds >= next_notice:
                next_notice += NOTICE
                notice = f"no answer after {seconds:.0f} s of at most {self.wait:g} ({self._last_line()})"
                print(f"--serve: {notice}", file=sys.stderr)
            time.sleep(PAUSE)

        self.check_alive()  # or somebody else's server answered
        print(f"--serve: the server answers after {seconds:.0f} s", file=sys.stderr)

    def _probe(self) -> str | None:
        """Why the server does not list its models yet; None where it does."""
        request = Request(f"{self.url}/models", headers={"Authorization": f"Bearer {read_key(self.url)}"})
        direct = build_opener(ProxyHandler({}))
        try:
            with direct.open(request, timeout=PROBE_WAIT):
                return None
        except HTTPError as error:
            error.close()
            return f"HTTP {error.code}"
        except (OSError, HTTPException) as error:
            return one_line(str(error))

    def _print_last_lines(self) -> None:
        for line in self._read_log()[-LAST_LINES:]:
            print(f"--serve: | {escape_controls(line)}", file=sys.stderr)

    def _last_line(self) -> str:
        """The last line of the log, for errors."""
        lines = self._read_log()
        return f"its last line: {one_line(lines[-1])}" if lines else "it printed nothing"

    def _read_log(self) -> list[str]:
        """The lines of the log that are not empty."""
        if self._log is None:
            return []

        text = self._log.read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if line.strip()]


def plan_server(command: str | None, wait: float | None, base_url: str | None) -> LaunchedServer | None:
    """Make the server of `--serve`; it is not started yet.

    Args:
        command: The command, if one was given.
        wait: Seconds of `--serve-wait`, if they were given.
        base_url: The address of `--base-url`, if it was given.

    Returns:
        The server; None without a command.

    Raises:
        RpobenchError: The options do not fit together, or the command is wrong.
    """
    if command is None:
        if wait is not None:
            raise RpobenchError("--serve-wait: there is no server to wait for; give --serve, or leave it out")
        return None

    if base_url is not None:
        raise RpobenchError("--serve and --base-url: the started server has an address of its own; leave one out")
    return LaunchedServer(command, WAIT if wait is None else wait)


def _check_command(command: str) -> None:
    """Raise RpobenchError where a command could not be started, or would carry a key into results."""
    if PORT not in command:
        raise RpobenchError(f"--serve {command}: has no {PORT}; write it where the command takes its port")

    secrets = supervisor.find_secrets(os.environ)
    is_secret_inside = any(secret in command for secret in secrets)
    if is_secret_inside or LITERAL_KEY.search(command):
        raise RpobenchError(
            "--serve: the command holds a key, and the command names the results; put the key into a variable, and "
            f"the command into single quotes with ${KEY}, for example"
        )


@dataclass(frozen=True)
class LaunchedModel(ReportingModel):
    """A model on a server that is started when it is first asked.

    Attributes:
        inner: The model as it is asked.
        server: Where it is.
    """

    inner: LanguageModel
    server: LaunchedServer

    @property
    def identity(self) -> str:
        """The model's own, which has the server's command in place of an address."""
        return self.inner.identity

    def generate_each(
        self, chats: Sequence[Chat], decoding: Decoding, on_completion: OnCompletion
    ) -> Sequence[Completion]:
        """As `generate`; the server runs from then on."""
        with self._running_server():
            return generate_each(self.inner, chats, decoding, on_completion)

    def choose_each(
        self,
        chats: Sequence[Chat],
        options: Sequence[str],
        neutral: Sequence[Chat] | None,
        on_completion: OnCompletion,
    ) -> Sequence[Completion]:
        """As `choose`; the server runs from then on."""
        with self._running_server():
            return choose_each(self.inner, chats, options, neutral, on_completion)

    def loglikelihood(self, chats: Sequence[Chat], texts: Sequence[str]) -> Sequence[float]:
        """The model's own."""
        return self.inner.loglikelihood(chats, texts)

    @contextmanager
    def _running_server(self) -> Iterator[None]:
        """The server runs; where it ended meanwhile, its end is the error and not what came of it."""
        self.server.start()
        try:
            yield
        except RpobenchError as error:
            try:
                self.server.check_alive()
            except RpobenchError as end:
                raise end from error
            raise


@contextmanager
def stop_server_afterwards(model: LanguageModel) -> Iterator[None]:
    """Stop the server that was started for a model, if there is one, however the block ends.

    Args:
        model: The model; it may be wrapped by models that keep the wrapped one as `inner`.

    Yields:
        Nothing.
    """
    try:
        yield
    finally:
        while not isinstance(model, LaunchedModel) and hasattr(model, "inner"):
            model = model.inner

        if isinstance(model, LaunchedModel):
            model.server.stop()
