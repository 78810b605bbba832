"""Data sets: official LaMP folders, their download, and the synthetic world."""
