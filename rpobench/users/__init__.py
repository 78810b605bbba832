"""What is learned of single users: their past items as examples, and a place for what a method makes of them."""
