"""The page: one file of HTML that loads nothing."""
