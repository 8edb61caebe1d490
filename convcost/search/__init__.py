"""Which designs there are, and which of them could be the best. No torch here."""
