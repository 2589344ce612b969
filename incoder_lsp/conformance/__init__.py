"""A conformance suite for servers of inline completion: any command that speaks LSP over stdio comes in, a verdict for each
check goes out. Nothing in here imports the server, and nothing knows how one is made.

    outcome -> client -> session, processes -> bench -> checks/ -> runner -> report
"""
