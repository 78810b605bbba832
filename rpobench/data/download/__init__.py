"""Official files from their servers, and LaMP-6 from the Avocado mails."""
