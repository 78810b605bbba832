"""The LaMP tasks, one a file: declarations only. Importable as `rpobench.tasks`."""

if __name__ != "rpobench.tasks":
    raise ImportError("import this package as rpobench.tasks: a second copy under another name would register twice")
