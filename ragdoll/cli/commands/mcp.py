"""``ragdoll mcp``."""

from ragdoll.cli.options import SERVED_TABLES, Invocation, command
from ragdoll.cli.session import session
from ragdoll.extras import require


@command(
    "index.database",
    table=SERVED_TABLES,
)
def mcp(call: Invocation, table: list[str] | None) -> None:
    """Answer an agent's searches on standard input and output, by the Model Context Protocol.

    This is the command for an agent's configuration. Standard output belongs to the protocol.
    """
    call.given["serve.tables"] = table or None
    with session(call) as (config, _):
        require("serve", "ragdoll mcp")
        from ragdoll.serve.tools import serve_stdio

        serve_stdio(config.index, config.serve)
