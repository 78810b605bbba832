"""Tables made from stored runs. Importable as `rpobench.leaderboard`."""

if __name__ != "rpobench.leaderboard":
    raise ImportError("import this package as rpobench.leaderboard: two copies under two names would register twice")
