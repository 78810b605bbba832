"""Tables made from stored runs. Importable as `rpobench.leaderboard`."""

if __name__ != "rpobench.leaderboard":
    raise ImportError("import this package as rpobench.leaderboard: a second copy under another name would register twice")
