"""LaMP's official files: how they are found, read, checked for defects, described and written."""
