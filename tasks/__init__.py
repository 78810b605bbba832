"""The LaMP tasks, one a file: declarations only. Importable as `rpobench.tasks`."""

if __name__ != "rpobench.tasks":
    raise ImportError("import this package as rpobench.tasks: under another name it would load twice")
