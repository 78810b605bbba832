"""Builds data in LaMP's form from real text by real people: the history and the files of git clones."""
