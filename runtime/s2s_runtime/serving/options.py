"""The options of serving; those of decoding are `s2s_runtime.options`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from s2s_runtime.declared_options import Option, declares_options, option_problems
from s2s_runtime.errors import OptionError

LIMITS: Final = "Limits"
DECODING: Final = "Running"
LIFE: Final = "Reload, stop and logs"

LogFormat = Literal["text", "json"]


@declares_options
@dataclass(frozen=True, kw_only=True)
class ServingOptions:
    """How an application serves its models.

    Raises:
        OptionError: names the option, what it got and what is allowed.
    """

    workers: Annotated[int | None, Option(at_least=1, panel=DECODING)] = None
    """Batches of a model decoded at the same time; default: one per core (eight at most), one for large models."""

    threads: Annotated[int | None, Option(at_least=1, panel=DECODING)] = None
    """Threads inside an operator; default: the cores divided by --workers."""

    provider: Annotated[Sequence[str] | None, Option(panel=DECODING)] = None
    """Execution provider, such as cpu or cuda; may be repeated, in order of preference."""

    allow_fallback: Annotated[bool, Option(panel=DECODING)] = False
    """Go on with the next --provider, and at last the CPU, where one can't be had; says so on stderr."""

    low_memory: Annotated[bool, Option(panel=DECODING)] = False
    """Hold the weights once for all graphs; a single sentence then takes up to twice as long."""

    queue: Annotated[int, Option(at_least=1, panel=LIMITS)] = 1024
    """Texts of a model that were accepted and aren't answered yet; more are refused: 503, with Retry-After."""

    streams: Annotated[int, Option(at_least=1, panel=LIMITS)] = 16
    """Streams of server-sent events at the same time, of all models; more are refused: 503, with Retry-After."""

    timeout: Annotated[float, Option(above=0, panel=LIMITS)] = 60.0
    """Seconds that a request may take, from its first byte to its answer."""

    max_request_bytes: Annotated[int, Option(at_least=1, panel=LIMITS)] = 4 * 2**20
    """Bytes of a request's body, unpacked."""

    max_source_tokens: Annotated[int, Option(at_least=1, panel=LIMITS)] = 2048
    """Tokens of a source; time and memory grow with the longest."""

    max_target_tokens: Annotated[int, Option(at_least=1, panel=LIMITS)] = 1024
    """Tokens of an output that a request may ask for."""

    max_beams: Annotated[int, Option(at_least=1, panel=LIMITS)] = 32
    """Beams, and hypotheses, that a request may ask for."""

    access_log: Annotated[bool, Option(panel=LIFE, flags=["--access-log/--no-access-log"], show_default=False)] = True
    """One log line for each request: never its texts."""

    def __post_init__(self) -> None:
        if problems := option_problems(self):
            raise OptionError("; ".join(problems))


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """The options of s2s-serve that say what it serves, where, and how long it lives."""

    bundles: Annotated[Sequence[Path], Option(positional=True, metavar="BUNDLE")]
    """Folders or zip files written by s2s-export, each a model named after its file, without `.s2s`."""

    host: Annotated[str, Option(metavar="ADDRESS")] = "127.0.0.1"
    """Address to listen at; 0.0.0.0 = all of this machine."""

    port: Annotated[int, Option(at_least=0, at_most=65535)] = 8080
    """Port to listen at; 0 = any that is free."""

    api_key: Annotated[bool, Option()] = False
    """Answer only requests with the key that the environment variable S2S_API_KEY holds."""

    watch: Annotated[float | None, Option(above=0, panel=LIFE, metavar="SECONDS")] = None
    """Look every so often whether a bundle was replaced, and load the new one; SIGHUP loads all anew at once."""

    grace: Annotated[float, Option(above=0, panel=LIFE, metavar="SECONDS")] = 30.0
    """Seconds that requests under way have to end after SIGTERM or Ctrl-C."""

    log_format: Annotated[LogFormat, Option(panel=LIFE)] = "text"
    """Log lines as text, or as one JSON object each."""
