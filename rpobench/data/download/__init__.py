"""Downloads LaMP's official files, and makes LaMP-6 from the licensed Avocado mails."""
