"""The baselines, one method a file. Importable as `rpobench.baselines`."""

if __name__ != "rpobench.baselines":
    raise ImportError("import this package as rpobench.baselines: under another name it would load twice")
