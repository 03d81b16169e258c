"""One module a panel of the interactive page; each says what it needs and what it shows."""
