"""``ragdoll mcp``."""

from ragdoll.cli.options import Invocation, command
from ragdoll.cli.session import session
from ragdoll.extras import require
from ragdoll.hints import OF_SERVICE


@command("index.database", "serve.tables")
def mcp(call: Invocation) -> None:
    """Answer an agent's searches on standard input and output, by the Model Context Protocol.

    This is the command for an agent's configuration. Standard output belongs to the protocol.
    """
    with session(call._replace(options={**call.options, **OF_SERVICE})) as (config, _):
        require("serve", "ragdoll mcp")
        from ragdoll.serve.tools import serve_stdio

        serve_stdio(config.index, config.serve)
