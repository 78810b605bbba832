"""Data sets: official LaMP folders and the synthetic world."""
