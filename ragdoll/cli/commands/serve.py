"""``ragdoll serve``."""

import sys
from dataclasses import replace

from ragdoll.cli.options import Invocation, command
from ragdoll.cli.session import session
from ragdoll.extras import require
from ragdoll.hints import OF_SERVICE


@command("index.database", "serve")
def serve(call: Invocation) -> None:
    """Answer searches over HTTP: for applications, agents and people.

    The service follows its tables: what index and run write is found at once. Without a token only
    this machine may ask.
    """
    with session(call._replace(options={**call.options, **OF_SERVICE})) as (config, console):
        require("serve", "ragdoll serve")
        from ragdoll.serve.log import logged_to
        from ragdoll.serve.names import Hosts
        from ragdoll.serve.server import serve as run

        index = replace(config.index, table=(config.serve.tables or [config.index.table])[0])

        def ready(address: str, hosts: Hosts) -> None:
            console.result({"address": address}, address)
            if hosts.any_address:
                console.note(f"It answers to {hosts.told()}; --allow-host adds names.")
            page = " Open it to search." if config.serve.page else ""
            console.note(f"Ctrl-C ends the service.{page}")

        pipeline = [sys.executable, "-m", "ragdoll", "run", "--json"]
        pipeline += ["--database", config.index.database, "--table", index.table]
        if config.file is not None:
            pipeline += ["--config", str(config.file)]
        with logged_to(sys.stderr, config.serve.log, requests=not console.quiet):
            # A program that reads the log is told nothing else.
            console.quiet |= config.serve.log == "json"
            run(index, config.serve, ready, pipeline)
