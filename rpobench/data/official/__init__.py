"""LaMP's official files: read, checked, written."""
